// Who is signed in.
import { ApiError, api, currentSession, get, setCsrf } from './client';
import type { Me } from './types';

/** null: nobody. */
export async function whoAmI(): Promise<Me | null> {
  const asked = currentSession();
  try {
    const me = await api<Me>('GET', '/api/v1/me', { isSignIn: true });
    if (asked === currentSession()) {
      setCsrf(me.csrf ?? '');
      return me;
    }
  } catch (e) {
    if (!(e instanceof ApiError && e.status === 401)) {
      throw e;
    }
    if (asked === currentSession()) {
      return null;
    }
  }
  return whoAmI(); // somebody has signed in meanwhile
}

export async function signIn(user: string, password: string): Promise<Me> {
  const answer = await api<{ csrf: string }>('POST', '/api/v1/login', { body: { user, password }, isSignIn: true });
  setCsrf(answer.csrf);
  return get<Me>('/api/v1/me');
}

export async function signOut(): Promise<void> {
  await api<void>('POST', '/api/v1/logout');
  setCsrf('');
}
