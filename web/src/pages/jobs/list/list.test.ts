import { expect, it } from 'vitest';
import { matches } from '../../../api/jobs';
import type { Job } from '../../../api/types';
import { forEachJob } from './bulk';
import { statesOf } from './filter';

const job = { id: 'j-7q2m', name: 'digits', user: 'ada', image: 'library/strata-ml:latest' } as Job;

it('finds jobs by all words, in any field', () => {
  expect(matches(job, '')).toBe(true);
  expect(matches(job, 'ADA strata')).toBe(true);
  expect(matches(job, 'ada bob')).toBe(false);
  expect(statesOf('failed,nonsense,queued')).toEqual(['queued', 'failed']);
});

it('does all, and tells which failed', async () => {
  const jobs = Array.from({ length: 9 }, (_, i) => ({ ...job, id: `j-${i}` }));
  const seen: number[] = [];
  const failed = await forEachJob(jobs, (j) => (j.id === 'j-3' ? Promise.reject(new Error('no')) : Promise.resolve()), (n) => seen.push(n));
  expect(failed.map((f) => f.job.id)).toEqual(['j-3']);
  expect(seen.at(-1)).toBe(9);
});
