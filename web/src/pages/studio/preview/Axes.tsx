// The frame of a chart: lines and numbers beside it, and what its axes are called.
import { figure, type Chart } from './types';
import type { Scale } from './scale';

export const W = 440;
export const H = 260;
export const LEFT = 56;
export const BOTTOM = 40;
export const TOP = 12;
export const RIGHT = 12;

/** A number of the x axis as what it means: days or microseconds since 1970 as a date, a bare count without commas (years). */
export function placeOf(v: number, as: string | undefined): string {
  const ms = as === 'date' ? v * 86_400_000 : as === 'time' ? v / 1000 : NaN;
  if (!Number.isFinite(new Date(ms).getTime())) {
    return as ? String(Number(v.toPrecision(6))) : figure(v);
  }
  const text = new Date(ms).toISOString();
  return as === 'date' || text.endsWith('T00:00:00.000Z') ? text.slice(0, 10) : text.slice(0, 16).replace('T', ' ');
}

export function Axes({ x, y, chart, xNames }: { x: Scale | null; y: Scale; chart: Chart; xNames?: string[] }) {
  return (
    <g className="axes" aria-hidden>
      {y.ticks.map((v) => (
        <g key={v}>
          <line x1={LEFT} x2={W - RIGHT} y1={y.at(v)} y2={y.at(v)} />
          <text x={LEFT - 6} y={y.at(v) + 4} textAnchor="end">
            {figure(v)}
          </text>
        </g>
      ))}
      {x?.ticks.map((v) => (
        <text key={v} x={x.at(v)} y={H - BOTTOM + 16} textAnchor="middle">
          {placeOf(v, chart.x_as)}
        </text>
      ))}
      {xNames && xNames.length > 0 && (
        <text x={LEFT} y={H - BOTTOM + 16}>
          {xNames[0]}
        </text>
      )}
      <text x={(LEFT + W) / 2} y={H - 6} textAnchor="middle">
        {chart.x_label}
      </text>
      <text transform={`translate(12 ${(H - BOTTOM) / 2}) rotate(-90)`} textAnchor="middle">
        {chart.y_label}
      </text>
    </g>
  );
}
