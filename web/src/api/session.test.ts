import { afterEach, describe, expect, it, vi } from 'vitest';
import { get, setCsrf, whenSignedOut } from './client';
import { whoAmI } from './session';

const refusal = () => new Response(JSON.stringify({ error: { kind: 'unauthenticated', message: 'no' } }), { status: 401 });

/** Answers when it is told to, in this order. */
function server() {
  const waiting: ((r: Response) => void)[] = [];
  vi.stubGlobal('fetch', () => new Promise<Response>((done) => waiting.push(done)));
  return (r: Response) => waiting.shift()!(r);
}

afterEach(() => {
  vi.unstubAllGlobals();
  setCsrf('');
});

describe('the end of a session', () => {
  it('is noticed', async () => {
    const answer = server();
    const ended = vi.fn();
    whenSignedOut(ended);
    setCsrf('one');
    const asked = get('/api/v1/jobs').catch(() => undefined);
    answer(refusal());
    await asked;
    expect(ended).toHaveBeenCalledOnce();
  });
  it('is not that of the next one: a late answer is no news', async () => {
    const answer = server();
    const ended = vi.fn();
    whenSignedOut(ended);
    setCsrf('one');
    const late = get('/api/v1/jobs').catch(() => undefined);
    const who = whoAmI();
    setCsrf('two');
    answer(refusal());
    answer(refusal());
    await late;
    await vi.waitFor(() => answer(new Response(JSON.stringify({ name: 'ada', csrf: 'two' }))));
    expect((await who)?.name).toBe('ada');
    expect(ended).not.toHaveBeenCalled();
  });
});
