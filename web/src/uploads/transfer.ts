// One file to the server: small ones at once, large ones in parts. What is lost on the way is asked for and sent
// again: a server that was killed, a connection that broke, a session that ended.
import { ApiError } from '../api/client';
import type { Answer, Wire } from './wire';

export const PART = 8 * 1024 * 1024;
const WAITS_MS = [500, 1000, 2000, 4000, 5000];

export type Wait = 'server' | 'session';

export interface Job {
  file: Blob;
  url: string;
  /** The same file has the same id: chosen again after the page was closed, it goes on where it was. */
  id: string;
  wire: Wire;
  signal: AbortSignal;
  /** Bytes that are sent, or known to be there. */
  onProgress: (sent: number) => void;
  /** It cannot go on now (null: it does again). */
  onWait: (why: Wait | null, error: ApiError | null) => void;
  /** Resolves when it is worth another try. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Resolves when somebody is signed in again. */
  session: (signal: AbortSignal) => Promise<void>;
  /** The session's proof may be an old one (signed in in another tab): fetch it again. */
  renew: () => Promise<void>;
}

const TRY_AGAIN = new Set([0, 429, 502, 503, 504]);

/** A request, repeated until the server answers something that is about the file. */
class Line {
  private tries = 0;
  private renewed = false;

  constructor(private job: Job) {}

  /** null: it has to be done again, and what the server has must be asked for. */
  async call(method: 'PUT' | 'HEAD', url: string, rest: { headers?: Record<string, string>; body?: Blob; from?: number } = {}): Promise<Answer | null> {
    const { job } = this;
    const from = rest.from;
    const answer = await job.wire(method, url, {
      headers: rest.headers,
      body: rest.body,
      signal: job.signal,
      onProgress: from === undefined ? undefined : (sent) => job.onProgress(from + Math.min(sent, rest.body?.size ?? 0)),
    });
    if (answer.status === 401) {
      job.onWait('session', answer.error);
      await job.session(job.signal);
    } else if (answer.status === 403 && !this.renewed) {
      this.renewed = true;
      await job.renew();
    } else if (TRY_AGAIN.has(answer.status)) {
      if (answer.status === 0) {
        await readable(job.file);
      }
      job.onWait('server', answer.error);
      await job.sleep(WAITS_MS[Math.min(this.tries++, WAITS_MS.length - 1)] ?? 5000, job.signal);
    } else {
      this.tries = 0;
      this.renewed &&= answer.status === 403;
      job.onWait(null, null);
      return answer;
    }
    return null;
  }

  async until(method: 'HEAD', url: string): Promise<Answer> {
    for (;;) {
      const answer = await this.call(method, url);
      if (answer) {
        return answer;
      }
    }
  }
}

/** A file that was changed or removed since it was chosen looks like a server that is away: tell them apart. */
async function readable(file: Blob) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new ApiError(0, 'unreadable', 'unreadable', null);
  }
}

const isGood = (a: Answer) => a.status >= 200 && a.status < 300;

async function whole(job: Job, line: Line): Promise<string | null> {
  for (;;) {
    const answer = await line.call('PUT', job.url, { body: job.file, from: 0 });
    if (answer && isGood(answer)) {
      return answer.sha256;
    }
    if (answer) {
      throw answer.error;
    }
  }
}

function range(from: number, to: number, total: number): string {
  return from === to ? `bytes */${total}` : `bytes ${from}-${to - 1}/${total}`;
}

async function inParts(job: Job, line: Line): Promise<string | null> {
  const url = `${job.url}?upload=${job.id}`;
  const total = job.file.size;
  const before = (await line.until('HEAD', job.url)).etag; // null: there is no such file yet
  let offset: number | null = null;
  let endWasSent = false;
  for (;;) {
    if (offset === null) {
      const answer: Answer = await line.until('HEAD', url);
      if (!isGood(answer)) {
        throw answer.error ?? new ApiError(answer.status, 'unknown', `HTTP ${answer.status}`, null);
      }
      offset = Math.min(answer.offset ?? 0, total);
      if (offset === 0 && endWasSent && (await isThere(job, line, before))) {
        return null; // it was complete, only the answer was lost
      }
    }
    job.onProgress(offset);
    const to = Math.min(offset + PART, total);
    endWasSent ||= to === total;
    const answer = await line.call('PUT', url, { headers: { 'Content-Range': range(offset, to, total) }, body: job.file.slice(offset, to), from: offset });
    if (!answer) {
      offset = null;
    } else if (answer.status === 202) {
      offset = answer.offset ?? to;
    } else if (isGood(answer)) {
      return answer.sha256;
    } else if (answer.status === 409 && answer.offset !== null && answer.offset !== offset) {
      offset = answer.offset;
    } else {
      throw answer.error;
    }
  }
}

async function isThere(job: Job, line: Line, before: string | null): Promise<boolean> {
  const now = await line.until('HEAD', job.url);
  return isGood(now) && now.etag !== before && (now.size === null || now.size === job.file.size);
}

/** The SHA-256 as the server answers it; null when its answer was lost. Throws ApiError, or the reason of `signal`. */
export async function transfer(job: Job): Promise<string | null> {
  const line = new Line(job);
  const sha256 = await (job.file.size <= PART ? whole(job, line) : inParts(job, line));
  job.onProgress(job.file.size);
  return sha256;
}
