// What the audit page makes of its address.
import type { AuditFilter } from '../../api/admin';
import { quote } from '../../components/shell';

const HOURS: Record<string, number> = { hour: 1, day: 24, week: 24 * 7, month: 24 * 30 };

/** "2026-11-27" of the user's day, as the moment it begins (or the one before the next begins). */
export function dayEdge(day: string, isEnd: boolean): string {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(day) ? new Date(`${day}T00:00:00`) : new Date(NaN);
  if (Number.isNaN(at.getTime())) {
    return '';
  }
  if (isEnd) {
    at.setDate(at.getDate() + 1);
    at.setMilliseconds(-1);
  }
  return at.toISOString();
}

export function filterOf(get: (name: string) => string, now: Date): AuditFilter {
  const hours = HOURS[get('time')];
  return {
    user: get('user').trim(),
    project: get('project').trim(),
    text: get('q').trim(),
    // By the minute: a filter that changes with every look would be read again and again.
    since: hours ? new Date(Math.floor(now.getTime() / 60_000) * 60_000 - hours * 3600_000).toISOString() : dayEdge(get('from'), false),
    until: hours ? '' : dayEdge(get('to'), true),
  };
}

/** The same filter as a command; the API gives a hundred rows unless told otherwise. */
export function auditCommand({ project, ...filter }: AuditFilter): string {
  const options = Object.entries(filter).flatMap(([name, value]) => (value ? [`--${name}`, quote(value)] : []));
  return ['strata audit --limit 100', ...options, ...(project ? ['-p', quote(project)] : [])].join(' ');
}
