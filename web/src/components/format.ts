// Numbers and times as people read them.
import type { Language } from '../i18n';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(n: number): string {
  let unit = 0;
  let v = n;
  while (v >= 1024 && unit < UNITS.length - 1) {
    v /= 1024;
    unit++;
  }
  return `${unit === 0 ? v : v < 10 ? v.toFixed(1) : Math.round(v)} ${UNITS[unit]}`;
}

/** Thousandths of a processor as processors: 500 -> "0.5". */
export function cpus(milli: number): string {
  return String(Math.round(milli / 10) / 100);
}

/** "1:04:09", "4:09", "9.3 s". */
export function duration(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 60) {
    return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  }
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const days = Math.floor(s / 86400);
  const clock = s >= 3600 ? `${Math.floor((s % 86400) / 3600)}:${two((s % 3600) / 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}

export function dateTime(iso: string | null, language: Language): string {
  return iso
    ? new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(iso))
    : '';
}

/** The same with its time zone: whoever reads it with a colleague elsewhere must know whose clock it is. */
export function dateTimeZone(iso: string, language: Language): string {
  const zone = new Intl.DateTimeFormat(language, { timeZoneName: 'shortOffset' }).formatToParts(new Date(iso)).find((p) => p.type === 'timeZoneName');
  return `${dateTime(iso, language)} ${zone?.value ?? ''}`.trim();
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** "3 minutes ago", in the user's language. */
export function ago(iso: string, now: number, language: Language): string {
  const s = (now - new Date(iso).getTime()) / 1000;
  const [unit, size] = STEPS.find(([, n]) => s >= n) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-Math.max(0, Math.floor(s / size)), unit);
}
