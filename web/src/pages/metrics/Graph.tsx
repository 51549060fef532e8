// Series over time, by uPlot; loaded only where there is something to draw.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useAppearance } from '../../app/theme';
import { useLanguage } from '../../i18n';
import { shownIn, stepsOf, type Unit } from './promql';

export interface Line {
  name: string;
  color: string;
  values: (number | null)[];
}

interface Props {
  times: number[];
  range: [number, number]; // what was asked; there may be samples of a part of it only
  lines: Line[];
  label: string;
  unit: Unit;
  onRange: (start: number, end: number) => void;
  onCursor: (at: number | null) => void; // the place in times that the pointer is at
}

const HEIGHT = 320;
const LETTER = 7; // the width of most, at the size of an axis

export default function Graph({ times, range, lines, label, unit, onRange, onCursor }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { dark } = useAppearance();
  const { language, t } = useLanguage();
  const shape = lines.map((l) => l.name + l.color).join('\n');
  const data = [times, ...lines.map((l) => l.values)] as uPlot.AlignedData;
  const latest = useRef({ data, range, onRange, onCursor });
  latest.current = { data, range, onRange, onCursor };

  useEffect(() => {
    const el = box.current as HTMLDivElement;
    const ink = dark ? '#b3bfc0' : '#4d5a5c';
    const grid = { stroke: dark ? '#263333' : '#e3e8e8', width: 1 };
    const width = range[1] - range[0];
    const clock = new Intl.DateTimeFormat(language, width > 86400 ? { month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit' } : { timeStyle: 'medium' });
    const made = new uPlot(
      {
        width: el.clientWidth,
        height: HEIGHT,
        scales: { x: { range: () => latest.current.range } },
        legend: { show: false }, // ours is below
        cursor: { y: false, focus: { prox: 24 } },
        focus: { alpha: 0.3 },
        axes: [
          { stroke: ink, grid, ticks: grid, values: (_u, ticks) => ticks.map((s) => clock.format(s * 1000)), space: 110 },
          {
            stroke: ink,
            grid,
            ticks: grid,
            values: (_u, ticks) => ticks.map((v) => shownIn(v, unit)),
            incrs: stepsOf(unit),
            size: (_u, texts) => 24 + LETTER * Math.max(3, ...(texts ?? []).map((text) => text.length)),
          },
        ],
        series: [
          { label: t('metrics.time'), value: (_u, s) => (s ? clock.format(s * 1000) : '') },
          ...lines.map((l) => ({
            label: l.name,
            stroke: l.color,
            width: 1.5,
            points: { show: times.length < 3 },
            value: (_: uPlot, v: number | null) => (v === null || v === undefined ? '–' : shownIn(v, unit)),
          })),
        ],
        hooks: {
          setCursor: [(u) => latest.current.onCursor(u.cursor.left !== undefined && u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null)],
          setSelect: [
            (u) => {
              if (u.select.width > 5) {
                latest.current.onRange(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
              }
            },
          ],
        },
      },
      latest.current.data,
      el,
    );
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: el.clientWidth, height: HEIGHT }));
    sized.observe(el);
    return () => {
      sized.disconnect();
      made.destroy();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- new samples do not make a new chart
  }, [shape, dark, language, unit, range[1] - range[0] > 86400]);
  useEffect(() => plot.current?.setData(latest.current.data), [times, lines, range[0], range[1]]); // eslint-disable-line react-hooks/exhaustive-deps -- its ends, not the list

  // Its height is there before the chart is, which comes after the first picture of the page.
  return <div ref={box} className="plot" role="img" aria-label={label} style={{ minHeight: HEIGHT }} />;
}
