import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/client';
import { PART, transfer, type Job, type Wait } from './transfer';
import type { Answer, Wire } from './wire';

const plain = { offset: null, size: null, etag: null, sha256: null, error: null };
const answer = (status: number, more: Partial<Answer> = {}): Answer => ({
  ...plain,
  status,
  error: status >= 200 && status < 300 ? null : new ApiError(status, 'x', `status ${status}`, null),
  ...more,
});

/** A server of one file, that does what `trouble` says at each request. */
class Server {
  there = 0;
  etag: string | null = null;
  log: string[] = [];

  constructor(
    readonly total: number,
    private trouble: (request: number, method: string) => 'away' | 'lost' | 'cut' | number | null = () => null,
  ) {}

  wire: Wire = async (method, url, call) => {
    const what = this.trouble(this.log.length, method);
    const range = call.headers?.['Content-Range'];
    this.log.push(`${method}${url.includes('upload=') ? ' upload' : ''}${range ? ` ${range}` : ''}`);
    if (typeof what === 'number') {
      return answer(what);
    }
    if (what === 'away') {
      return answer(0);
    }
    const result = method === 'HEAD' ? this.head(url) : this.put(url, range, call.body?.size ?? 0, what === 'cut');
    return what ? answer(0) : result;
  };

  private head(url: string): Answer {
    if (url.includes('upload=')) {
      return answer(200, { offset: this.there });
    }
    return this.etag ? answer(200, { etag: this.etag, size: this.total }) : answer(404);
  }

  private put(url: string, range: string | undefined, size: number, isCut: boolean): Answer {
    const from = Number(/bytes (\d+)-/.exec(range ?? '')?.[1] ?? this.there);
    if (range && from !== this.there) {
      return answer(409, { offset: this.there });
    }
    this.there += isCut ? Math.floor(size / 2) : size;
    if (this.there < this.total) {
      return answer(202, { offset: this.there });
    }
    this.there = 0;
    this.etag = `"${url}-new"`;
    return answer(201, { sha256: 'abc' });
  }
}

function run(server: Server, more: Partial<Job> = {}) {
  const waits: (Wait | null)[] = [];
  const sent: number[] = [];
  const done = transfer({
    file: new Blob([new Uint8Array(server.total)]),
    url: '/f',
    id: 'abcdefgh',
    wire: server.wire,
    signal: new AbortController().signal,
    onProgress: (n) => sent.push(n),
    onWait: (w) => w && waits.push(w),
    sleep: async () => undefined,
    session: async () => undefined,
    renew: async () => undefined,
    ...more,
  });
  return { done, waits, sent };
}

const big = 2 * PART + 5;

describe('an upload', () => {
  it('of a small file is one request', async () => {
    const server = new Server(10);
    expect(await run(server).done).toBe('abc');
    expect(server.log).toEqual(['PUT']);
  });

  it('of a large file goes in parts', async () => {
    const server = new Server(big);
    const { done, sent } = run(server);
    expect(await done).toBe('abc');
    expect(server.log).toEqual([
      'HEAD',
      'HEAD upload',
      `PUT upload bytes 0-${PART - 1}/${big}`,
      `PUT upload bytes ${PART}-${2 * PART - 1}/${big}`,
      `PUT upload bytes ${2 * PART}-${big - 1}/${big}`,
    ]);
    expect(sent.at(-1)).toBe(big);
  });

  it('goes on where a killed server has it', async () => {
    const server = new Server(big, (n) => (n === 2 ? 'cut' : n === 3 || n === 4 ? 'away' : null));
    const { done, waits } = run(server);
    expect(await done).toBe('abc');
    expect(waits).toEqual(['server', 'server', 'server']);
    expect(server.log[6]).toBe(`PUT upload bytes ${PART / 2}-${PART * 1.5 - 1}/${big}`);
  });

  it('waits for a session and goes on', async () => {
    let renewed = 0;
    const server = new Server(big, (n) => (n === 3 ? 401 : n === 5 ? 403 : null));
    const { done, waits } = run(server, { renew: async () => void renewed++ });
    expect(await done).toBe('abc');
    expect(waits).toEqual(['session']);
    expect(renewed).toBe(1);
  });

  it('whose last answer was lost is not sent again', async () => {
    const server = new Server(big, (n) => (n === 4 ? 'lost' : null));
    expect(await run(server).done).toBeNull();
    expect(server.log.slice(5)).toEqual(['HEAD upload', 'HEAD']);
  });

  it('begins where an earlier page left it', async () => {
    const server = new Server(big);
    server.there = PART;
    expect(await run(server).done).toBe('abc');
    expect(server.log.filter((l) => l.startsWith('PUT')).length).toBe(2);
  });

  it.each([507, 400, 403, 413, 404])('ends with what the server refuses: %i', async (status) => {
    const server = new Server(10, () => status);
    await expect(run(server).done).rejects.toMatchObject({ status });
    expect(server.log.length).toBeLessThan(3);
  });
});
