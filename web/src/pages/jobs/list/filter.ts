// The states of the filter.
import type { JobState } from '../../../api/types';

export const STATES: JobState[] = ['queued', 'starting', 'running', 'succeeded', 'failed', 'cancelled', 'lost'];

/** What the address asks for, without what is no state. */
export function statesOf(param: string | null): JobState[] {
  const asked = (param ?? '').split(',');
  return STATES.filter((s) => asked.includes(s));
}
