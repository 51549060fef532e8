// A log of any size in bounded memory: a window of whole lines, read by ranges from where one looks, while a
// stream brings what is written. No React here; the view subscribes.
import { ApiError, request } from '../../../api/client';
import { PLAIN, type Look } from './ansi';
import { firstLine, linesOf, type Line } from './lines';

const PART = 256 * 1024; // read at once
const KEEP_BYTES = 4 * 1024 * 1024; // the window
const KEEP_LINES = 20_000;

export type LogStatus = 'loading' | 'live' | 'cut' | 'over';

const NOTHING = new Uint8Array(0);
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

function both(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) {
    return b;
  }
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

export class LogSource {
  lines: Line[] = [];
  start = 0; // of the window, in bytes
  end = 0;
  size = 0; // of the log, as far as we know
  firstNumber: number | null = 1; // of lines[0]; null: nobody has counted
  status: LogStatus = 'loading';
  error: unknown = null;
  /** The reader looks at the end: old lines may go. Otherwise what he reads stays, and new lines wait. */
  following = true;
  version = 0;

  private open: Uint8Array = NOTHING; // the last line, as long as it has no end
  private look: Look = PLAIN; // where `open` begins
  private isAtTail = false;
  private reading = false;
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stop = new AbortController();
  private stream: AbortController | null = null;

  constructor(
    private readonly url: string,
    readonly attempt: number,
    private readonly isLive: boolean,
    private readonly isOver: () => Promise<boolean>,
  ) {}

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  async run() {
    this.stop = new AbortController();
    const { signal } = this.stop;
    for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 5000)) {
      try {
        await this.toEnd();
        this.error = null;
        break;
      } catch (e) {
        if (signal.aborted || this.fail(e)) {
          return;
        }
        await pause(wait);
      }
    }
    if (this.isLive) {
      await this.follow(signal);
    } else {
      this.status = 'over';
      this.tell();
    }
  }

  close() {
    this.stop.abort();
    this.stream?.abort();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** The network was away: a stream that only seems to live is opened anew. */
  reconnect() {
    this.stream?.abort();
  }

  get hasBefore() {
    return this.start > 0;
  }

  get hasAfter() {
    return this.end < this.size;
  }

  /** Bytes [from, to) of the log. */
  async read(from: number, to: number, signal?: AbortSignal): Promise<Uint8Array> {
    return to <= from ? NOTHING : (await this.range(`bytes=${from}-${to - 1}`, signal)).bytes;
  }

  async before() {
    await this.alone(async () => {
      const from = Math.max(0, this.start - PART);
      const end = this.start;
      const bytes = await this.read(from, end);
      if (end !== this.start) {
        return; // the window is another one by now
      }
      const skip = from === 0 ? 0 : firstLine(bytes);
      const { lines } = linesOf(bytes.subarray(skip), from + skip, true);
      this.lines = [...lines, ...this.lines];
      this.start = from + skip;
      this.firstNumber = this.start === 0 ? 1 : this.firstNumber === null ? null : this.firstNumber - lines.length;
      this.dropLast();
    });
  }

  async after() {
    await this.alone(async () => {
      const from = this.end;
      const bytes = await this.read(from, Math.min(this.size, from + PART));
      if (from === this.end) {
        this.take(bytes);
        this.dropFirst();
        this.isAtTail = this.end >= this.size;
      }
    });
  }

  /** Shows what lies around this byte. */
  async jump(at: number) {
    await this.alone(async () => {
      const from = Math.max(0, at - PART / 4);
      const bytes = await this.read(from, Math.min(this.size, from + PART));
      const skip = from === 0 ? 0 : firstLine(bytes);
      this.replace(bytes.subarray(skip), from + skip);
    });
  }

  async toEnd() {
    await this.alone(async () => {
      const { bytes, from, size } = await this.range(`bytes=-${PART}`);
      const skip = from === 0 ? 0 : firstLine(bytes);
      this.size = Math.max(size, from + bytes.length);
      this.replace(bytes.subarray(skip), from + skip);
    });
  }

  private replace(bytes: Uint8Array, at: number) {
    this.lines = [];
    this.open = NOTHING;
    this.look = PLAIN;
    this.start = at;
    this.end = at;
    this.firstNumber = at === 0 ? 1 : null;
    this.take(bytes);
    this.isAtTail = this.end >= this.size;
  }

  /** Bytes that lie at `end`. */
  private take(bytes: Uint8Array) {
    const all = both(this.open, bytes);
    const at = this.end - this.open.length;
    const lines = this.open.length > 0 ? this.lines.slice(0, -1) : this.lines.slice();
    const more = linesOf(all, at, false, this.look);
    this.open = all.slice(more.rest);
    this.look = more.look;
    this.end += bytes.length;
    const last = this.open.length > 0 ? linesOf(this.open, at + more.rest, true, this.look).lines : [];
    this.lines = lines.concat(more.lines, last);
  }

  private dropFirst() {
    const over = this.end - this.start > KEEP_BYTES || this.lines.length > KEEP_LINES;
    if (!over) {
      return;
    }
    // A quarter at once, so that this happens seldom.
    let n = Math.max(0, this.lines.length - KEEP_LINES * 0.75);
    while (n < this.lines.length - 1 && this.end - (this.lines[n] as Line).at > KEEP_BYTES * 0.75) {
      n++;
    }
    this.lines = this.lines.slice(n);
    this.start = this.lines[0]?.at ?? this.end;
    this.firstNumber = this.firstNumber === null ? null : this.firstNumber + n;
  }

  private dropLast() {
    let n = Math.min(this.lines.length, KEEP_LINES);
    while (n > 1 && (this.lines[n - 1] as Line).at - this.start > KEEP_BYTES) {
      n--;
    }
    const cut = this.lines[n];
    if (cut) {
      this.lines = this.lines.slice(0, n);
      this.open = NOTHING;
      this.look = cut.look;
      this.end = cut.at;
      this.isAtTail = false;
    }
  }

  /** From the stream: it lies at `size`. */
  private receive(bytes: Uint8Array) {
    this.size += bytes.length;
    if (!this.isAtTail) {
      return; // read by range when one comes there
    }
    if (!this.following && this.end - this.start + bytes.length > KEEP_BYTES) {
      this.isAtTail = false;
      return;
    }
    this.take(bytes);
    if (this.following) {
      this.dropFirst();
    }
  }

  private async follow(signal: AbortSignal) {
    for (let wait = 300; !signal.aborted; wait = Math.min(wait * 2, 5000)) {
      this.stream = new AbortController();
      try {
        const answer = await request('GET', `${this.url}?follow=1&attempt=${this.attempt}&offset=${this.size}`, {
          signal: this.stream.signal,
        });
        this.error = null;
        this.setStatus('live');
        for (const reader = (answer.body as ReadableStream<Uint8Array>).getReader(); ; ) {
          const { done, value } = await reader.read();
          if (done) {
            break;
          }
          wait = 300;
          this.receive(value);
          this.tell();
        }
        if (await this.isOver()) {
          return this.setStatus('over');
        }
      } catch (e) {
        if (signal.aborted || this.fail(e)) {
          return;
        }
      }
      await pause(wait);
    }
  }

  /** Whether it failed for good: what the server refuses it will refuse again; anything else is tried again. */
  private fail(e: unknown): boolean {
    const isRefused = e instanceof ApiError && (e.status === 404 || e.status === 403 || e.status === 400);
    this.error = e instanceof ApiError ? e : null;
    this.setStatus(isRefused ? 'over' : 'cut');
    return isRefused;
  }

  private async range(range: string, signal: AbortSignal = this.stop.signal) {
    try {
      const r = await request('GET', `${this.url}?attempt=${this.attempt}`, { headers: { Range: range }, signal });
      const bytes = new Uint8Array(await r.arrayBuffer());
      const m = /^bytes (\d+)-\d+\/(\d+)$/.exec(r.headers.get('Content-Range') ?? '');
      return { bytes, from: Number(m?.[1] ?? 0), size: Number(m?.[2] ?? bytes.length) };
    } catch (e) {
      if (e instanceof ApiError && e.status === 416) {
        return { bytes: NOTHING, from: 0, size: 0 }; // nothing is written yet
      }
      throw e;
    }
  }

  /** One reading at a time. */
  private async alone(work: () => Promise<void>) {
    while (this.reading) {
      await pause(20);
    }
    this.reading = true;
    try {
      await work();
    } finally {
      this.reading = false;
      this.tell();
    }
  }

  private setStatus(status: LogStatus) {
    this.status = status;
    this.tell();
  }

  /** At most twenty times a second. */
  private tell() {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.version++;
      this.listeners.forEach((l) => l());
    }, 50);
  }
}
