// Totals as rates between two samples; a gap where a figure is missing or a counter began anew.
import type { Usage, UsageSample } from '../../../api/jobs';

export type Series = (number | null)[];

const at = (s: UsageSample) => new Date(s.at).getTime() / 1000;

/** Of a growing total: how much a second, times `scale`. */
export function rate(samples: UsageSample[], of: (s: UsageSample) => number | null, scale: number): Series {
  return samples.map((s, i) => {
    const before = samples[i - 1];
    const [a, b] = [before ? of(before) : null, of(s)];
    if (!before || a === null || b === null || b < a) {
      return null;
    }
    const seconds = at(s) - at(before);
    return seconds > 0 ? ((b - a) * scale) / seconds : null;
  });
}

export interface Chart {
  key: 'cpu' | 'memory' | 'io';
  times: number[];
  series: { key: 'used' | 'limit' | 'peak' | 'read' | 'write'; values: Series }[];
}

const isGiven = (s: Series) => s.some((v) => v !== null);

/** The charts for which there are figures. */
export function chartsOf(u: Usage): Chart[] {
  const times = u.samples.map(at);
  const flat = (v: number | null): Series => times.map(() => v);
  const charts: Chart[] = [
    {
      key: 'cpu',
      times,
      series: [
        { key: 'used', values: rate(u.samples, (s) => s.cpu_usec, 1e-6) },
        { key: 'limit', values: flat(u.cpu_milli_limit === null ? null : u.cpu_milli_limit / 1000) },
      ],
    },
    {
      key: 'memory',
      times,
      series: [
        { key: 'used', values: u.samples.map((s) => s.memory_bytes) },
        { key: 'limit', values: flat(u.memory_limit_bytes) },
      ],
    },
    {
      key: 'io',
      times,
      series: [
        { key: 'read', values: rate(u.samples, (s) => s.io_read_bytes, 1) },
        { key: 'write', values: rate(u.samples, (s) => s.io_write_bytes, 1) },
      ],
    },
  ];
  return charts
    .filter((c) => c.series.some((s) => s.key !== 'limit' && isGiven(s.values)))
    .map((c) => ({ ...c, series: c.series.filter((s) => isGiven(s.values)) }));
}
