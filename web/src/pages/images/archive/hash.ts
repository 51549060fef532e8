// The page's end of hash.worker.ts.
import type { HashJob, HashNews } from './hash.worker';

export function hashInWorker(job: HashJob, signal: AbortSignal, onDone: (bytes: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./hash.worker.ts', import.meta.url), { type: 'module' });
    const end = (settle: () => void) => {
      worker.terminate();
      signal.removeEventListener('abort', abort);
      settle();
    };
    const abort = () => end(() => reject(new DOMException('cancelled', 'AbortError')));
    signal.addEventListener('abort', abort);
    worker.onerror = (e) => end(() => reject(new Error(e.message)));
    worker.onmessage = ({ data }: MessageEvent<HashNews>) => {
      if ('done' in data) {
        onDone(data.done);
      } else {
        end(() => ('digest' in data ? resolve(data.digest) : reject(new Error(data.error))));
      }
    };
    worker.postMessage(job);
  });
}
