// One stream of events for all tabs of this browser: HTTP/1.1 gives a site six connections, and each tab with
// a stream of its own would use them up. The tab that holds the lock keeps the stream and tells the others.

export type LiveEvent =
  | { type: 'job'; project: string; id: string; name?: string; state: string }
  | { type: 'volume'; project: string; name: string; action: string }
  | { type: 'image'; project: string; repository: string; tag: string; digest: string; action: string }
  | { type: 'project'; project: string; action: string }
  | { type: 'member'; project: string; user?: string; group?: string; role: string | null }
  | { type: 'robot'; project: string | null; name: string; action: string }
  | { type: 'group'; name: string; action: string }
  | { type: 'secret'; project: string; name: string; action: string }
  | { type: 'user'; name: string; action: string }
  | { type: 'token'; id: number; action: string }
  | { type: 'audit'; user: string; project: string | null }
  | { type: 'replication'; id: number; rule: string; state: string }
  | { type: 'pipeline'; project: string; name: string; state: string }
  | { type: 'run'; project: string; id: number; pipeline: string; state: string }
  | { type: 'machine' }
  | { type: 'me' }; // my rights changed

/** `live`: events arrive; `stale`: they do not, what is shown may be old; `missed`: some were missed just now. */
export type LiveState = 'connecting' | 'live' | 'stale';

type Message = { event: LiveEvent } | { state: LiveState } | { missed: true } | { refused: true } | { ask: true };

const TYPES = ['job', 'volume', 'image', 'project', 'member', 'robot', 'group', 'secret', 'user', 'token', 'audit', 'replication', 'pipeline', 'run', 'machine', 'me'] as const;

/** How late an event may be heard here. */
const SLACK_MS = 1000;
const DAY_MS = 24 * 3600 * 1000;

export class Live {
  state: LiveState = 'connecting';
  private listeners = new Set<(event: LiveEvent) => void>();
  private stateListeners = new Set<() => void>();
  private missedListeners = new Set<() => void>();
  private refusedListeners = new Set<() => void>();
  private channel: BroadcastChannel | null = null;
  private source: EventSource | null = null;
  private stop = new AbortController();
  private leads = false;
  private toldUntil = 0; // Date.now(), which goes on while a laptop sleeps: all that happened before it is known here

  /** `knownSince`: when what is shown was asked for, of Date.now(); what happened from then on is told. */
  start(knownSince: number) {
    this.toldUntil = knownSince;
    this.stop = new AbortController();
    this.channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('strata-live');
    if (this.channel) {
      this.channel.onmessage = (m: MessageEvent<Message>) => this.hear(m.data);
    }
    if (this.channel && navigator.locks) {
      // Held until this tab goes; then another tab's request is granted.
      navigator.locks
        .request('strata-live', { signal: this.stop.signal }, () => {
          this.lead();
          return new Promise<void>((done) => this.stop.signal.addEventListener('abort', () => done()));
        })
        .catch(() => undefined);
      this.channel.postMessage({ ask: true } satisfies Message);
    } else {
      this.lead(); // no secure context: a stream for each tab
    }
  }

  close() {
    this.stop.abort();
    this.source?.close();
    this.source = null;
    this.channel?.close();
    this.channel = null;
    this.leads = false;
  }

  onEvent(listener: (event: LiveEvent) => void) {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  onMissed(listener: () => void) {
    this.missedListeners.add(listener);
    return () => void this.missedListeners.delete(listener);
  }

  /** The server answered, but not with a stream: it starts, or nobody is signed in any more. */
  onRefused(listener: () => void) {
    this.refusedListeners.add(listener);
    return () => void this.refusedListeners.delete(listener);
  }

  onState(listener: () => void) {
    this.stateListeners.add(listener);
    return () => void this.stateListeners.delete(listener);
  }

  private lead() {
    this.leads = true;
    // The browser comes back by itself with the id of the last event; this is for the first time, and when another tab led.
    const replay = Math.max(0, Date.now() - this.toldUntil) + SLACK_MS;
    const source = new EventSource(`/api/v1/events?replay_ms=${Math.min(replay, DAY_MS)}`);
    this.source = source;
    source.onopen = () => this.tell({ state: 'live' });
    source.onerror = () => {
      this.tell({ state: 'stale' });
      if (source.readyState === EventSource.CLOSED && !this.stop.signal.aborted) {
        // An answer that is no stream: the browser gives up, we do not.
        this.tell({ refused: true });
        setTimeout(() => this.stop.signal.aborted || this.lead(), 2000);
      }
    };
    source.addEventListener('missed', () => this.tell({ missed: true }));
    for (const type of TYPES) {
      source.addEventListener(type, (m) => {
        this.tell({ event: { type, ...JSON.parse((m as MessageEvent<string>).data) } as LiveEvent });
      });
    }
  }

  /** To this tab and all others. */
  private tell(message: Message) {
    this.channel?.postMessage(message);
    this.hear(message);
  }

  private hear(message: Message) {
    if ('event' in message) {
      this.toldUntil = Date.now() - SLACK_MS; // they come in order
      this.listeners.forEach((l) => l(message.event));
    } else if ('state' in message) {
      this.state = message.state;
      this.stateListeners.forEach((l) => l());
    } else if ('missed' in message) {
      this.missedListeners.forEach((l) => l());
    } else if ('refused' in message) {
      this.refusedListeners.forEach((l) => l());
    } else if (this.leads) {
      this.channel?.postMessage({ state: this.state } satisfies Message);
    }
  }
}

export const live = new Live();
