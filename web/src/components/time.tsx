// Times that stay true while one looks at them.
import { useSyncExternalStore } from 'react';
import { useLanguage } from '../i18n';
import { ago, dateTimeZone, duration } from './format';

/** One clock for all that is shown: a list has hundreds of times, and they tick together. */
class Clock {
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval> | undefined;
  now = Date.now();

  constructor(private ms: number) {}

  listen = (listener: () => void) => {
    if (this.listeners.size === 0) {
      this.now = Date.now();
      this.timer = setInterval(() => {
        this.now = Date.now();
        this.listeners.forEach((l) => l());
      }, this.ms);
    }
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) {
        clearInterval(this.timer);
      }
    };
  };
}

const clocks = new Map<number, Clock>();

function clockOf(ms: number): Clock {
  const clock = clocks.get(ms) ?? new Clock(ms);
  clocks.set(ms, clock);
  return clock;
}

const still = () => () => undefined;

/** The time now, every `ms`. */
export function useNow(ms: number, running = true): number {
  const clock = clockOf(ms);
  return useSyncExternalStore(running ? clock.listen : still, () => clock.now);
}

export function Ago({ at }: { at: string | null }) {
  const { language, t } = useLanguage();
  const now = useNow(10_000, at !== null);
  return at ? (
    <time dateTime={at} title={dateTimeZone(at, language)}>
      {ago(at, Math.max(now, Date.parse(at)), language)}
    </time>
  ) : (
    <span>{t('time.never')}</span>
  );
}

/** From `from` to `to`, or still going on. */
export function Took({ from, to }: { from: string | null; to: string | null }) {
  const now = useNow(1000, from !== null && to === null);
  return from ? <span>{duration(Math.max(0, (to ? Date.parse(to) : now) - Date.parse(from)))}</span> : <span>–</span>;
}
