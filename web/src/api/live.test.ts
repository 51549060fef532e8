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

  constructor() {
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
    Stream.made = [];
  });

  it('says that something may have been missed between two streams, also when we began anew ourselves', () => {
    vi.stubGlobal('EventSource', Stream);
    vi.stubGlobal('BroadcastChannel', undefined);
    const live = new Live();
    const missed = vi.fn();
    live.onMissed(missed);
    live.start();
    Stream.made[0]?.onopen?.();
    expect(missed).not.toHaveBeenCalled();
    live.close(); // somebody's rights changed: a stream tells what he might see when it began
    live.start();
    expect(Stream.made).toHaveLength(2);
    Stream.made[1]?.onopen?.();
    expect(missed).toHaveBeenCalledOnce();
    Stream.made[1]?.onopen?.(); // the browser connected again by itself
    expect(missed).toHaveBeenCalledTimes(2);
  });
});
