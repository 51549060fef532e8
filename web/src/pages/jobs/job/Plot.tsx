// One chart by uPlot; loaded only where there is something to draw.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useAppearance } from '../../../app/theme';
import { useLanguage } from '../../../i18n';
import type { Chart } from './rates';

const COLORS = { light: ['#0b6e6e', '#9a5b00'], dark: ['#5fd3c8', '#f0b35a'] };
const POWERS = Array.from({ length: 50 }, (_, i) => 2 ** i); // bytes are counted so
const LIMIT = { light: '#c0281c', dark: '#ff8a7e' };

interface Props {
  chart: Chart;
  names: string[];
  title: string;
  show: (v: number) => string;
}

export default function Plot({ chart, names, title, show }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { dark } = useAppearance();
  const { language, t } = useLanguage();
  const shape = chart.series.map((s) => s.key).join() + names.join();
  const data = [chart.times, ...chart.series.map((s) => s.values)] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const el = box.current as HTMLDivElement;
    const mode = dark ? 'dark' : 'light';
    const ink = dark ? '#b3bfc0' : '#4d5a5c';
    const grid = { stroke: dark ? '#263333' : '#e3e8e8', width: 1 };
    const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium' });
    const value = (_: uPlot, v: number | null) => (v === null || v === undefined ? '–' : show(v));
    const made = new uPlot(
      {
        width: el.clientWidth,
        height: 170,
        cursor: { y: false, sync: { key: 'usage' } }, // all charts of a job show the same moment
        scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [
          { stroke: ink, grid, ticks: grid, values: (_u, ticks) => ticks.map((s) => clock.format(s * 1000)), space: 90 },
          { stroke: ink, grid, ticks: grid, values: (_u, ticks) => ticks.map(show), size: 72, ...(chart.key === 'cpu' ? {} : { incs: POWERS }) },
        ],
        series: [
          { label: t('jobs.time'), value: (_u, s) => (s ? clock.format(s * 1000) : '') },
          ...chart.series.map((s, i) => ({
            label: names[i],
            stroke: s.key === 'limit' ? LIMIT[mode] : COLORS[mode][i],
            dash: s.key === 'limit' ? [6, 4] : undefined,
            width: s.key === 'limit' ? 1 : 1.5,
            points: { show: chart.times.length < 3 },
            spanGaps: s.key === 'limit',
            value,
          })),
        ],
      },
      latest.current,
      el,
    );
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: el.clientWidth, height: 170 }));
    sized.observe(el);
    return () => {
      sized.disconnect();
      made.destroy();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- new figures do not make a new chart
  }, [shape, dark, language]);
  useEffect(() => plot.current?.setData(latest.current), [chart]);

  const last = chart.series.map((s, i) => {
    const v = s.values.filter((x) => x !== null).at(-1);
    return `${names[i]} ${v === null || v === undefined ? '–' : show(v)}`;
  });
  return <div ref={box} className="plot" role="img" aria-label={`${title}: ${last.join(', ')}`} />;
}
