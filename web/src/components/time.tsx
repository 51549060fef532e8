// Times that stay true while one looks at them.
import { Tooltip } from 'antd';
import { useEffect, useState } from 'react';
import { useLanguage } from '../i18n';
import { ago, dateTimeZone, duration } from './format';

/** The time now, every `ms`. */
export function useNow(ms: number, running = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) {
      return undefined;
    }
    const timer = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms, running]);
  return now;
}

export function Ago({ at }: { at: string | null }) {
  const { language, t } = useLanguage();
  const now = useNow(10_000, at !== null);
  return at ? (
    <Tooltip title={dateTimeZone(at, language)}>
      <time dateTime={at}>{ago(at, now, language)}</time>
    </Tooltip>
  ) : (
    <span>{t('time.never')}</span>
  );
}

/** From `from` to `to`, or still going on. */
export function Took({ from, to }: { from: string | null; to: string | null }) {
  const now = useNow(1000, from !== null && to === null);
  return from ? <span>{duration((to ? new Date(to).getTime() : now) - new Date(from).getTime())}</span> : <span>–</span>;
}
