// The session of the whole console: who is signed in, what he may do, and the way back when a session ends.
import { Spin } from 'antd';
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { whenSignedOut } from '../api/client';
import { live } from '../api/live';
import { queryClient, refreshFor, useGet } from '../api/queries';
import * as session from '../api/session';
import type { Me } from '../api/types';
import { ErrorView } from '../components/ErrorView';
import { forget } from '../components/recent';
import { forgetWork } from '../components/work';
import { SignIn } from './SignIn';

interface Session {
  me: Me;
  /** May the user do this? Of a project's permissions: name it. */
  may: (permission: string, project?: string | null) => boolean;
  signOut: () => Promise<void>;
  reload: () => Promise<void>;
}

const Context = createContext<Session | null>(null);

export function useSession(): Session {
  const s = useContext(Context);
  if (!s) {
    throw new Error('useSession outside of SessionProvider');
  }
  return s;
}

/** Pages stay as they are below the sign-in dialog when a session ends: nothing that was typed is lost. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const [me, setMe] = useState<Me | null | undefined>(undefined);
  const [ended, setEnded] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);

  const known = useRef(false); // somebody is or was signed in
  const asked = useRef(0);
  const knownSince = useRef(0); // when me was asked for
  const reload = useCallback(async () => {
    const mine = ++asked.current; // an answer that a later question overtook tells what was
    const now = Date.now();
    try {
      const who = await session.whoAmI();
      if (mine !== asked.current) {
        return;
      }
      if (who === null && known.current) {
        setEnded(true); // the page stays below
      } else {
        known.current = who !== null;
        knownSince.current = now;
        setMe(who);
      }
      setProblem(null);
    } catch (e) {
      setProblem(e);
    }
  }, []);
  useEffect(() => {
    whenSignedOut(() => setEnded(true));
    void reload();
  }, [reload]);

  const name = me?.name;
  const isAdmin = me?.is_admin; // a stream tells what he was when it began
  useEffect(() => {
    if (!name || ended) {
      return undefined;
    }
    live.start(knownSince.current);
    const stops = [
      live.onEvent(refreshFor),
      live.onMissed(() => void queryClient.invalidateQueries()),
      live.onEvent((e) => e.type === 'me' && void reload()),
      live.onMissed(() => void reload()),
      live.onRefused(() => void reload()),
    ];
    return () => {
      stops.forEach((stop) => stop());
      live.close();
    };
  }, [name, isAdmin, ended, reload]);

  const permissions = useGet<{ roles: Record<string, string[]> }>(
    ['permissions'],
    '/api/v1/permissions',
    Boolean(name),
  ).data;
  const value = useMemo<Session | null>(
    () =>
      me
        ? {
            me,
            may: (permission, project) => {
              if (me.is_admin) {
                return true;
              }
              const role = project ? (me.projects.find((p) => p.name === project)?.role ?? 'anonymous') : 'user';
              return permissions?.roles[role]?.includes(permission) ?? false;
            },
            signOut: async () => {
              await session.signOut();
              forget();
              forgetWork();
              live.close();
              queryClient.clear();
              known.current = false;
              setMe(null);
            },
            reload,
          }
        : null,
    [me, permissions, reload],
  );

  if (problem && me === undefined) {
    return (
      <main className="alone">
        <ErrorView error={problem} retry={() => void reload()} />
      </main>
    );
  }
  if (me === undefined) {
    return <Spin fullscreen delay={300} />;
  }
  return (
    <>
      {value && <Context.Provider value={value}>{children}</Context.Provider>}
      {(!me || ended) && (
        <SignIn
          again={ended ? (me?.name ?? null) : null}
          done={(who, since) => {
            if (me && who.name !== me.name) {
              forget();
              queryClient.clear(); // another user must not see what the last one saw
            }
            known.current = true;
            knownSince.current = since;
            setMe(who);
            setEnded(false);
            void queryClient.invalidateQueries();
          }}
        />
      )}
    </>
  );
}
