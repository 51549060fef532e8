// The end of a job in plain words: what, why, what to do next. Texts by key, so that they can be translated.
import type { Job } from '../../../api/types';
import { isFinished } from '../../../api/jobs';
import { bytes } from '../../../components/format';
import type { Key } from '../../../i18n';

export interface Explanation {
  tone: 'success' | 'info' | 'warning' | 'error';
  what: Key;
  why?: Key; // else the server's own words
  next?: Key;
  values: Record<string, string | number>;
  /** A memory that is worth a try, as a spec writes it. */
  memory?: string;
  wantsLog?: boolean;
}

const MIB = 1024 * 1024;

/** Half as much again, in whole Mi: what the server's own sentence says (jobs/outcome.c). */
export function moreMemory(limit: number): string {
  const mib = Math.ceil((limit * 1.5) / MIB);
  return mib % 1024 === 0 ? `${mib / 1024}Gi` : `${mib}Mi`;
}

function ofCode(job: Job, code: number): Explanation {
  const values = { code, command: job.spec?.command?.[0] ?? '' };
  if (code === 127) {
    return { tone: 'error', what: 'jobs.x_not_found', why: 'jobs.x_not_found_why', next: 'jobs.x_not_found_next', values };
  }
  if (code === 126) {
    return { tone: 'error', what: 'jobs.x_not_executable', why: 'jobs.x_not_executable_why', next: 'jobs.x_not_executable_next', values };
  }
  if (code === 137 || code === 139 || code === 134) {
    const why = ({ 137: 'jobs.x_137_why', 139: 'jobs.x_139_why', 134: 'jobs.x_134_why' } as const)[code];
    return { tone: 'error', what: 'jobs.x_code', why, next: 'jobs.x_code_next', values, wantsLog: true };
  }
  return { tone: 'error', what: 'jobs.x_code', why: 'jobs.x_code_why', next: 'jobs.x_code_next', values, wantsLog: true };
}

function ofFailure(job: Job): Explanation {
  const { exit } = job;
  switch (exit?.kind) {
    case 'oom': {
      const memory = moreMemory(job.memory_bytes);
      const values = { limit: bytes(job.memory_bytes), peak: bytes(job.usage.memory_peak_bytes), memory };
      return { tone: 'error', what: 'jobs.x_oom', why: 'jobs.x_oom_why', next: 'jobs.x_oom_next', values, memory };
    }
    case 'timeout':
      return { tone: 'error', what: 'jobs.x_timeout', why: 'jobs.x_timeout_why', next: 'jobs.x_timeout_next', values: { timeout: String(job.spec?.timeout ?? '') } };
    case 'signal':
      return { tone: 'error', what: 'jobs.x_signal', next: 'jobs.x_signal_next', values: { signal: exit.code }, wantsLog: true };
    case 'exit':
      return ofCode(job, exit.code);
    default:
      return { tone: 'error', what: 'jobs.x_never_ran', next: 'jobs.x_never_ran_next', values: {} };
  }
}

export function explain(job: Job): Explanation {
  switch (job.state) {
    case 'queued':
      return { tone: 'info', what: 'jobs.x_queued', next: 'jobs.x_queued_next', values: { n: job.queue_position ?? 1 } };
    case 'starting':
      return { tone: 'info', what: 'jobs.x_starting', values: {} };
    case 'running':
      return { tone: 'info', what: job.attempt > 1 ? 'jobs.x_running_again' : 'jobs.x_running', values: { n: job.attempt, all: job.retries + 1 } };
    case 'succeeded':
      return { tone: 'success', what: 'jobs.x_succeeded', values: {} };
    case 'cancelled':
      return { tone: 'warning', what: 'jobs.x_cancelled', next: 'jobs.x_cancelled_next', values: {} };
    case 'lost':
      return { tone: 'error', what: 'jobs.x_lost', next: 'jobs.x_lost_next', values: {} };
    default:
      return ofFailure(job);
  }
}

/** Whether the server's own sentence says more than we do. */
export const serverWords = (job: Job): string =>
  isFinished(job) ? (job.exit?.text ?? job.reason) : job.state === 'running' && job.reason === 'started' ? '' : job.reason;
