import { expect, it } from 'vitest';
import type { Job } from '../../../api/types';
import { explain, moreMemory } from './explain';

const MIB = 1024 * 1024;
const job = (part: Partial<Job>): Job =>
  ({ state: 'failed', exit: null, reason: '', attempt: 1, retries: 0, memory_bytes: 512 * MIB, usage: { memory_peak_bytes: 512 * MIB, cpu_usec: 0 }, ...part }) as Job;

it('suggests a memory that people would write', () => {
  expect(moreMemory(512 * MIB, 512 * MIB)).toBe('1Gi');
  expect(moreMemory(32 * MIB, 32 * MIB)).toBe('64Mi');
  expect(moreMemory(100 * MIB, 100 * MIB)).toBe('224Mi');
  expect(moreMemory(3000 * MIB, 3000 * MIB)).toBe('6Gi');
});

it('tells what happened and what to do', () => {
  const oom = explain(job({ exit: { kind: 'oom', code: 137, text: '' } }));
  expect(oom).toMatchObject({ what: 'jobs.x_oom', memory: '1Gi', values: { limit: '512 MiB', peak: '512 MiB' } });
  expect(explain(job({ exit: { kind: 'exit', code: 127, text: '' }, spec: { image: 'x', command: ['trian.py'] } as Job['spec'] })).values.command).toBe('trian.py');
  expect(explain(job({ exit: { kind: 'exit', code: 3, text: '' } })).wantsLog).toBe(true);
  expect(explain(job({})).what).toBe('jobs.x_never_ran');
  expect(explain(job({ state: 'queued', queue_position: 3 })).values.n).toBe(3);
});
