// The same for many jobs: a few at a time, each with its own end; one that fails does not stop the others.
import type { Job } from '../../../api/types';

export interface Failure {
  job: Job;
  error: unknown;
}

const AT_ONCE = 4;

export async function forEachJob(
  jobs: Job[],
  work: (job: Job) => Promise<unknown>,
  progress: (done: number) => void,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let job = jobs[next++]; job; job = jobs[next++]) {
      try {
        await work(job);
      } catch (error) {
        failures.push({ job, error });
      }
      progress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}
