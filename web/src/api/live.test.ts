import { afterEach, describe, expect, it, vi } from 'vitest';
import { Live } from './live';

/** A stream that a test opens and lets speak. */
class Stream {
  static made: Stream[] = [];
  static readonly CLOSED = 2;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  readyState = 0;
  heard = new Map<string, (m: { data: string }) => void>();

  constructor(readonly url: string) {
    Stream.made.push(this);
  }

  addEventListener(type: string, listener: (m: { data: string }) => void) {
    this.heard.set(type, listener);
  }

  close() {
    this.readyState = Stream.CLOSED;
  }
}

describe('the live stream', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    Stream.made = [];
  });

  it('begins with what happened since that was asked which is shown', () => {
    vi.stubGlobal('EventSource', Stream);
    vi.stubGlobal('BroadcastChannel', undefined);
    let now = 5000;
    vi.spyOn(Date, 'now').mockImplementation(() => now);
    const live = new Live();
    live.start(4000);
    expect(Stream.made[0]?.url).toBe('/api/v1/events?replay_ms=2000'); // with a second to spare
    now = 60_000;
    Stream.made[0]?.heard.get('me')?.({ data: '{}' }); // all before it is known here
    now = 61_000;
    const first = Stream.made[0];
    if (first) {
      first.readyState = Stream.CLOSED; // an answer that is no stream
      vi.useFakeTimers({ toFake: ['setTimeout'] });
      first.onerror?.();
      now = 63_000;
      vi.runAllTimers();
      vi.useRealTimers();
    }
    expect(Stream.made[1]?.url).toBe('/api/v1/events?replay_ms=5000');
    live.close();
  });
});
