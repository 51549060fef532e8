// The life of an upload: nothing -> read -> choose a name -> push -> done, and back from everywhere.
import { useCallback, useEffect, useRef, useState } from 'react';
import { queryClient } from '../../api/queries';
import { readArchive, type ArchiveImage } from './archive/archive';
import { hashInWorker } from './archive/hash';
import { pushImage, type PushProgress } from './archive/push';
import { isGzip, openSource, type Source } from './archive/source';

export type Stage =
  | { is: 'empty' }
  | { is: 'reading'; at: number; share: number | null }
  | { is: 'choose'; file: File; images: ArchiveImage[] }
  | { is: 'pushing'; progress: PushProgress; began: number; now: number }
  | { is: 'done'; repository: string; tag: string }
  | { is: 'failed'; error: unknown };

const SHOWN_EVERY_MS = 100;

/** Calls at most ten times a second: a tar of many files is read faster than it can be shown. */
function slowly<T extends unknown[]>(f: (...args: T) => void): (...args: T) => void {
  let last = 0;
  return (...args) => {
    const now = performance.now();
    if (now - last >= SHOWN_EVERY_MS) {
      last = now;
      f(...args);
    }
  };
}

export function useArchive(project: string, first: File | null) {
  const [stage, setStage] = useState<Stage>({ is: 'empty' });
  const stop = useRef(new AbortController());
  const source = useRef<Source | null>(null);

  const fail = useCallback((error: unknown, signal: AbortSignal) => {
    setStage(signal.aborted ? { is: 'empty' } : { is: 'failed', error });
  }, []);

  const open = useCallback(
    async (file: File) => {
      stop.current.abort();
      stop.current = new AbortController();
      const { signal } = stop.current;
      setStage({ is: 'reading', at: 0, share: 0 });
      try {
        const packed = await isGzip(file);
        const show = slowly((at: number) => setStage({ is: 'reading', at, share: packed ? null : Math.min(1, at / file.size) }));
        source.current?.close();
        const opened = (source.current = await openSource(file));
        const hash = (offset: number, size: number) =>
          hashInWorker({ file, offset, size }, signal, slowly((done) => setStage({ is: 'reading', at: offset + done, share: done / size })));
        const images = await readArchive(opened, hash, (at) => {
          signal.throwIfAborted();
          show(at);
        });
        setStage({ is: 'choose', file, images });
      } catch (e) {
        fail(e, signal);
      }
    },
    [fail],
  );

  const push = async (image: ArchiveImage, repository: string, tag: string) => {
    const { signal } = stop.current;
    const began = performance.now();
    const onProgress = (progress: PushProgress) => setStage({ is: 'pushing', progress, began, now: performance.now() });
    try {
      if (source.current) {
        await pushImage(image, source.current, { repository: `${project}/${repository}`, tag, signal, onProgress });
      }
      setStage({ is: 'done', repository, tag });
      void queryClient.invalidateQueries({ queryKey: ['images', project] });
    } catch (e) {
      fail(e, signal);
    }
  };

  const cancel = useCallback(() => {
    stop.current.abort();
    stop.current = new AbortController();
  }, []);

  useEffect(() => {
    if (first) {
      void open(first);
    }
    return () => {
      stop.current.abort();
      source.current?.close();
    };
  }, [first, open]);

  const isPushing = stage.is === 'pushing';
  useEffect(() => {
    if (!isPushing) {
      return undefined;
    }
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isPushing]);

  return { stage, open: (file: File) => void open(file), push: (...a: Parameters<typeof push>) => void push(...a), cancel };
}
