// A series, how it goes on, and the range in which its values will lie as a band.
import { useText } from '../../../i18n';
import { Axes, BOTTOM, H, LEFT, RIGHT, TOP, W } from './Axes';
import { linesOf } from './lines';
import { scaleOf } from './scale';
import type { Chart } from './types';

const SHOWN = ['past', 'forecast'] as const;

export function Forecast({ chart }: { chart: Chart }) {
  const t = useText();
  const lines = linesOf(chart);
  const pointsOf = (name: string) => lines.find((l) => l.name === name)?.points ?? [];
  const all = lines.flatMap((l) => l.points);
  const x = scaleOf(
    all.map((p) => p[0]),
    LEFT,
    W - RIGHT,
  );
  const y = scaleOf(
    all.map((p) => p[1]),
    H - BOTTOM,
    TOP,
  );
  const place = (p: [number, number]) => `${x.at(p[0])},${y.at(p[1])}`;
  return (
    <>
      <Axes x={x} y={y} chart={chart} />
      <polygon className="band" points={[...pointsOf('upper'), ...[...pointsOf('lower')].reverse()].map(place).join(' ')} />
      {SHOWN.map((name, i) => (
        <polyline key={name} className={`series-${i}`} points={pointsOf(name).map(place).join(' ')} />
      ))}
      <g className="legend-svg" aria-hidden>
        {SHOWN.map((name, i) => (
          <text key={name} x={LEFT + 8} y={TOP + 12 + i * 15} className={`name-${i}`}>
            {t(`studio.chart_${name}`)}
          </text>
        ))}
      </g>
    </>
  );
}
