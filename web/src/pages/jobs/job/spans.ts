// The history of a job as spans of time, one row an attempt: what the picture of the timeline shows.
import type { Job, JobState } from '../../../api/types';

export interface Span {
  state: JobState;
  from: number; // ms
  to: number;
  reason: string;
  isOpen: boolean; // goes on
}

export interface Attempt {
  attempt: number;
  spans: Span[];
  end: { state: JobState; at: number; reason: string } | null;
}

const FINAL: JobState[] = ['succeeded', 'failed', 'cancelled', 'lost'];

export function attemptsOf(history: NonNullable<Job['history']>, now: number): Attempt[] {
  const attempts = new Map<number, Attempt>();
  history.forEach((h, i) => {
    const row = attempts.get(h.attempt) ?? { attempt: h.attempt, spans: [], end: null };
    attempts.set(h.attempt, row);
    const at = new Date(h.at).getTime();
    if (FINAL.includes(h.state)) {
      row.end = { state: h.state, at, reason: h.reason };
      return;
    }
    const next = history[i + 1];
    row.spans.push({
      state: h.state,
      from: at,
      to: Math.max(at, next ? new Date(next.at).getTime() : now),
      reason: h.reason,
      isOpen: !next,
    });
  });
  return [...attempts.values()];
}
