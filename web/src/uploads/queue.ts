// All uploads of this tab. They live outside of the pages: one can leave a page, and they go on.
import { ApiError, noteSignedOut, onSession } from '../api/client';
import { fileUrl, shown, type Place } from '../api/files';
import { whoAmI } from '../api/session';
import { Rate } from './rate';
import { transfer, type Wait } from './transfer';
import { wire as realWire, type Wire } from './wire';

export type UploadState = 'queued' | 'sending' | 'server' | 'session' | 'paused' | 'done' | 'failed' | 'cancelled';

export interface Upload {
  key: number;
  id: string;
  place: Place;
  raw: string; // path in the volume
  name: string; // the same, to show
  file: File;
  size: number;
  sent: number;
  state: UploadState;
  error: ApiError | null;
  sha256: string | null;
  rate: Rate;
  stop: AbortController | null;
}

export interface Totals {
  files: number;
  done: number;
  failed: number;
  open: number; // neither done, failed nor cancelled
  paused: number;
  waiting: Wait | null;
  size: number;
  sent: number;
}

export interface ToUpload {
  place: Place;
  raw: string;
  file: File;
}

const AT_ONCE = 3; // HTTP/1.1 gives a site six connections; pages and the live stream want some
const TELL_MS = 200;
const LIVING: ReadonlySet<UploadState> = new Set(['queued', 'sending', 'server', 'session', 'paused']);
export const isLiving = (u: Upload) => LIVING.has(u.state);
const isActive = (u: Upload) => u.state === 'sending' || u.state === 'server' || u.state === 'session';

/** The same file to the same path (the server adds the path) has the same id: two rounds of FNV-1a. */
export function uploadId(file: { name: string; size: number; lastModified: number }): string {
  const text = `${file.name}\0${file.size}\0${file.lastModified}`;
  return [0x811c9dc5, 0x01234567, 0x89abcdef]
    .map((seed) => {
      let h = seed;
      for (let i = 0; i < text.length; i++) {
        h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
        h ^= h >>> 15;
      }
      return (h >>> 0).toString(16).padStart(8, '0');
    })
    .join('');
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, failed) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      if (signal.aborted) {
        failed(signal.reason);
      } else {
        done();
      }
    };
    const timer = setTimeout(end, ms);
    window.addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}

function session(signal: AbortSignal): Promise<void> {
  noteSignedOut();
  return new Promise((done, failed) => {
    const stop = onSession(() => end(done));
    const aborted = () => end(() => failed(signal.reason));
    const end = (then: () => void) => {
      stop();
      signal.removeEventListener('abort', aborted);
      then();
    };
    signal.addEventListener('abort', aborted);
  });
}

export class Uploads {
  list: readonly Upload[] = [];
  rate = new Rate();
  version = 0; // changes when anything does: the snapshot of useSyncExternalStore
  private listeners = new Set<() => void>();
  private doneListeners = new Set<(u: Upload) => void>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private keys = 0;
  private user: string | null = null;

  constructor(
    private wire: Wire = realWire,
    private waits = { sleep, session, renew: async () => void (await whoAmI()) },
  ) {}

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  onDone(listener: (u: Upload) => void) {
    this.doneListeners.add(listener);
    return () => void this.doneListeners.delete(listener);
  }

  /** Another user's uploads are none of this one's. */
  belongTo(user: string | null) {
    if (this.user !== null && this.user !== user) {
      this.list.forEach((u) => u.stop?.abort());
      this.list = [];
    }
    this.user = user;
    this.tell();
  }

  add(files: ToUpload[]) {
    const made = files.map<Upload>(({ place, raw, file }) => ({
      key: ++this.keys,
      id: uploadId(file),
      place,
      raw,
      name: shown(raw),
      file,
      size: file.size,
      sent: 0,
      state: 'queued',
      error: null,
      sha256: null,
      rate: new Rate(),
      stop: null,
    }));
    if (!this.totals().open) {
      this.rate.reset();
    }
    this.list = [...this.list, ...made];
    this.go();
  }

  pause(which: readonly Upload[]) {
    for (const u of which) {
      if (isLiving(u) && u.state !== 'paused') {
        this.halt(u, 'paused');
      }
    }
    this.go();
  }

  /** Also what failed or was cancelled. */
  resume(which: readonly Upload[]) {
    for (const u of which) {
      if (u.state === 'paused' || u.state === 'failed' || u.state === 'cancelled') {
        u.state = 'queued';
        u.error = null;
      }
    }
    this.rate.reset();
    this.go();
  }

  cancel(which: readonly Upload[]) {
    for (const u of which.filter(isLiving)) {
      const hasParts = u.state !== 'queued' || u.sent > 0;
      this.halt(u, 'cancelled');
      u.sent = 0;
      if (hasParts) {
        // What lies on the server would go by itself after a day.
        const url = `${fileUrl(u.place, u.raw)}?upload=${u.id}`;
        void this.wire('DELETE', url, { signal: new AbortController().signal }).catch(() => undefined);
      }
    }
    this.go();
  }

  /** Forgets those that have ended. */
  clear() {
    this.list = this.list.filter(isLiving);
    this.tell();
  }

  totals(): Totals {
    const t: Totals = { files: 0, done: 0, failed: 0, open: 0, paused: 0, waiting: null, size: 0, sent: 0 };
    for (const u of this.list) {
      if (u.state === 'cancelled') {
        continue;
      }
      t.files++;
      t.size += u.size;
      t.sent += Math.min(u.sent, u.size);
      t.done += Number(u.state === 'done');
      t.failed += Number(u.state === 'failed');
      t.paused += Number(u.state === 'paused');
      t.open += Number(isLiving(u));
      t.waiting = u.state === 'server' || u.state === 'session' ? u.state : t.waiting;
    }
    return t;
  }

  private halt(u: Upload, state: UploadState) {
    u.state = state;
    u.stop?.abort();
    u.stop = null;
    u.rate.reset();
  }

  private go() {
    let free = AT_ONCE - this.list.filter(isActive).length;
    for (const u of this.list) {
      if (free <= 0) {
        break;
      }
      if (u.state === 'queued') {
        free--;
        void this.run(u);
      }
    }
    this.tell();
  }

  private async run(u: Upload) {
    const stop = new AbortController();
    u.stop = stop;
    u.state = 'sending';
    const isMine = () => u.stop === stop; // not paused and started again meanwhile
    try {
      const sha256 = await transfer({
        file: u.file,
        url: fileUrl(u.place, u.raw),
        id: u.id,
        wire: this.wire,
        signal: stop.signal,
        ...this.waits,
        onProgress: (sent) => isMine() && this.progress(u, sent),
        onWait: (why, error) => isMine() && this.wait(u, why, error),
      });
      if (isMine()) {
        Object.assign(u, { state: 'done', sha256, error: null, sent: u.size, stop: null });
        this.doneListeners.forEach((l) => l(u));
      }
    } catch (e) {
      if (isMine()) {
        const error = e instanceof ApiError ? e : new ApiError(0, 'unknown', String(e), null);
        Object.assign(u, { state: 'failed', error, stop: null });
      }
    }
    this.go();
  }

  private progress(u: Upload, sent: number) {
    u.sent = sent;
    u.rate.add(sent, performance.now());
    this.tell();
  }

  private wait(u: Upload, why: Wait | null, error: ApiError | null) {
    if (why && u.state === 'sending') {
      u.rate.reset();
    }
    u.state = why ?? 'sending';
    u.error = error;
    this.tell();
  }

  /** At most five times a second. */
  private tell() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      const t = this.totals();
      this.rate.add(t.sent, performance.now());
      this.version++;
      this.listeners.forEach((l) => l());
    }, TELL_MS);
  }
}

export const uploads = new Uploads();
