// The points of a chart, line by line.
import { thin } from './scale';
import type { Chart, Series } from './types';

const MOST = 2000; // points that are drawn

export interface Line {
  name: string;
  points: [number, number][];
}

export function linesOf(chart: Chart): Line[] {
  const line = (s: Series | Chart, name: string): Line => {
    const x = (s.x ?? chart.x ?? []) as number[];
    return { name, points: thin((s.y ?? []).flatMap((y, i): [number, number][] => (typeof y === 'number' ? [[typeof x[i] === 'number' ? (x[i] as number) : i, y]] : [])), MOST) };
  };
  return chart.series?.length ? chart.series.map((s, i) => line(s, s.name ?? String(i + 1))) : [line(chart, chart.title ?? chart.kind)];
}
