// The words of the filter: all must be found, in any of the fields.
import type { Job, JobState } from '../../../api/types';

export const STATES: JobState[] = ['queued', 'starting', 'running', 'succeeded', 'failed', 'cancelled', 'lost'];

/** What the address asks for, without what is no state. */
export function statesOf(param: string | null): JobState[] {
  const asked = (param ?? '').split(',');
  return STATES.filter((s) => asked.includes(s));
}

export function matches(job: Job, typed: string): boolean {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${job.name}\n${job.id}\n${job.user}\n${job.image}`.toLowerCase();
  return words.every((w) => text.includes(w));
}
