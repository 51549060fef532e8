import { describe, expect, it } from 'vitest';
import { uploadId, Uploads } from './queue';
import type { Answer, Wire } from './wire';

const good: Answer = { status: 201, offset: null, size: null, etag: null, sha256: 'abc', error: null };
const place = { project: 'p', volume: 'v' };
const files = (n: number) => Array.from({ length: n }, (_, i) => ({ place, raw: `f${i}`, file: new File(['12345'], `f${i}`, { lastModified: i }) }));
const ticks = async (n = 20) => {
  for (let i = 0; i < n; i++) {
    await Promise.resolve();
  }
};
const waits = { sleep: async () => undefined, session: async () => undefined, renew: async () => undefined };

/** Answers when told to. */
function held() {
  const open: ((a: Answer) => void)[] = [];
  const log: string[] = [];
  const wire: Wire = (method, url, call) =>
    new Promise((done, failed) => {
      log.push(`${method} ${url}`);
      call.signal.addEventListener('abort', () => failed(call.signal.reason));
      open.push(done);
    });
  return { open, log, wire };
}

describe('the queue of uploads', () => {
  it('sends a few at once and all in the end', async () => {
    const { open, wire } = held();
    const q = new Uploads(wire, waits);
    q.add(files(5));
    expect(open.length).toBe(3);
    for (let done = 0; done < 5; done++) {
      open[done]?.(good);
      await ticks();
    }
    expect(q.totals()).toMatchObject({ files: 5, done: 5, open: 0, sent: 25, size: 25 });
    expect(q.list[0]).toMatchObject({ state: 'done', sha256: 'abc' });
  });

  it('pauses, goes on and cancels', async () => {
    const { open, log, wire } = held();
    const q = new Uploads(wire, waits);
    q.add(files(2));
    q.pause(q.list);
    await ticks();
    expect(q.totals()).toMatchObject({ paused: 2, open: 2, failed: 0 });
    q.resume(q.list);
    expect(open.length).toBe(4);
    q.cancel(q.list.slice(0, 1));
    await ticks();
    expect(log.at(-1)).toMatch(/^DELETE .*\/files\/f0\?upload=[0-9a-f]{24}$/);
    open[3]?.(good);
    await ticks();
    expect(q.list.map((u) => u.state)).toEqual(['cancelled', 'done']);
    q.clear();
    expect(q.list).toEqual([]);
  });

  it('is of one user', () => {
    const q = new Uploads(held().wire, waits);
    q.belongTo('a');
    q.add(files(1));
    q.belongTo('a');
    expect(q.list.length).toBe(1);
    q.belongTo('b');
    expect(q.list.length).toBe(0);
  });

  it('knows a file again by its name, size and time', () => {
    const id = uploadId({ name: 'a', size: 1, lastModified: 2 });
    expect(id).toMatch(/^[a-z0-9]{24}$/);
    expect(uploadId({ name: 'a', size: 1, lastModified: 2 })).toBe(id);
    expect(uploadId({ name: 'a', size: 2, lastModified: 2 })).not.toBe(id);
  });
});
