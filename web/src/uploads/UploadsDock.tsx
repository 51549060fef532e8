// In the frame: keeps the uploads of who is signed in, warns before the tab is closed, and shows the panel when there are any.
import { lazy, Suspense, useEffect, useSyncExternalStore } from 'react';
import { useSession } from '../app/session';
import { refreshFolder } from '../api/volumes';
import { parentOf } from '../api/files';
import { uploads } from './queue';

const UploadsPanel = lazy(() => import('./UploadsPanel'));

export function UploadsDock() {
  const { me } = useSession();
  useSyncExternalStore(uploads.subscribe, () => uploads.version);
  const totals = uploads.totals();
  useEffect(() => uploads.belongTo(me.name), [me.name]);
  useEffect(() => () => uploads.belongTo(null), []); // signed out
  const isOpen = totals.open > 0;
  useEffect(() => {
    if (!isOpen) {
      return undefined;
    }
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isOpen]);
  useEffect(() => {
    // The server's event says so too, but may come a second later.
    const last = uploads.list.at(-1);
    if (!isOpen && last) {
      refreshFolder(last.place, parentOf(last.raw));
    }
  }, [isOpen]);
  return uploads.list.length > 0 ? (
    <Suspense fallback={null}>
      <UploadsPanel />
    </Suspense>
  ) : null;
}
