import { expect, it } from 'vitest';
import type { Job } from '../../../api/types';
import { explain, moreMemory } from './explain';

const MIB = 1024 * 1024;
const job = (part: Partial<Job>): Job =>
  ({ state: 'failed', exit: null, reason: '', attempt: 1, retries: 0, memory_bytes: 512 * MIB, usage: { memory_peak_bytes: 512 * MIB, cpu_usec: 0 }, ...part }) as Job;

it('suggests a memory that people would write', () => {
  expect(moreMemory(512 * MIB)).toBe('768Mi');
  expect(moreMemory(64 * MIB)).toBe('96Mi');
  expect(moreMemory(2048 * MIB)).toBe('3Gi');
  expect(moreMemory(1_000_000)).toBe('2Mi');
});

it('tells what happened and what to do', () => {
  const oom = explain(job({ exit: { kind: 'oom', code: 137, text: '' } }));
  expect(oom).toMatchObject({ what: 'jobs.x_oom', memory: '768Mi', values: { limit: '512 MiB', peak: '512 MiB' } });
  expect(explain(job({ exit: { kind: 'exit', code: 127, text: '' }, spec: { image: 'x', command: ['trian.py'] } as Job['spec'] })).values.command).toBe('trian.py');
  expect(explain(job({ exit: { kind: 'exit', code: 3, text: '' } })).wantsLog).toBe(true);
  expect(explain(job({})).what).toBe('jobs.x_never_ran');
  expect(explain(job({ state: 'queued', queue_position: 3 })).values.n).toBe(3);
});
