import { expect, it } from 'vitest';
import { attemptsOf } from './spans';

it('makes a row an attempt, with spans up to the next change or now', () => {
  const at = (s: number) => new Date(s * 1000).toISOString();
  const rows = attemptsOf(
    [
      { state: 'queued', at: at(0), attempt: 1, reason: 'submitted' },
      { state: 'running', at: at(5), attempt: 1, reason: 'started' },
      { state: 'failed', at: at(9), attempt: 1, reason: 'exit code 3' },
      { state: 'queued', at: at(9), attempt: 2, reason: 'retry 1 of 1' },
    ],
    12_000,
  );
  expect(rows.map((r) => r.spans.map((s) => [s.state, s.from, s.to, s.isOpen]))).toEqual([
    [['queued', 0, 5000, false], ['running', 5000, 9000, false]],
    [['queued', 9000, 12000, true]],
  ]);
  expect(rows[0]?.end?.reason).toBe('exit code 3');
  expect(rows[1]?.end).toBeNull();
});
