import { expect, it } from 'vitest';
import type { UsageSample } from '../../../api/jobs';
import { chartsOf, rate } from './rates';

const sample = (s: number, part: Partial<UsageSample>): UsageSample => ({
  at: new Date(s * 1000).toISOString(),
  cpu_usec: null,
  memory_bytes: null,
  memory_peak_bytes: null,
  io_read_bytes: null,
  io_write_bytes: null,
  processes: null,
  ...part,
});

it('makes rates of totals, with gaps where one is missing or falls', () => {
  const s = [0, 2, 3, 4, 5].map((t, i) => sample(t, { cpu_usec: [0, 4e6, null, 5e6, 1e6][i] as number | null }));
  expect(rate(s, (x) => x.cpu_usec, 1e-6)).toEqual([null, 2, null, null, null]);
});

it('leaves out charts without figures', () => {
  const charts = chartsOf({
    attempt: 1,
    started_at: null,
    interval_ms: 1000,
    cpu_milli_limit: 2000,
    memory_limit_bytes: 10,
    samples: [sample(1, { memory_bytes: 5 }), sample(2, { memory_bytes: 6 })],
  });
  expect(charts.map((c) => [c.key, c.series.map((s) => s.key)])).toEqual([['memory', ['used', 'limit']]]);
});
