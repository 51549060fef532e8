// The charts of reports and models as SVG, each with its figures as a table below for those who do not see it.
import { useServerWord, useText } from '../../../i18n';
import { useMeasure } from '../parts/Measure';
import { Axes, BOTTOM, H, LEFT, placeOf, RIGHT, TOP, W } from './Axes';
import { Forecast } from './Forecast';
import { linesOf } from './lines';
import { scaleOf, thin } from './scale';
import { figure, type Chart } from './types';

const ROWS = 200; // of figures that are written

/** What the chart is compared with: chance, or what is perfect. */
const DIAGONAL = ['roc', 'calibration'];
const FROM_ZERO = ['roc', 'pr', 'calibration', 'lift'];

function Lines({ chart, dots }: { chart: Chart; dots: boolean }) {
  const lines = linesOf(chart);
  const xs = lines.flatMap((l) => l.points.map((p) => p[0]));
  const ys = lines.flatMap((l) => l.points.map((p) => p[1]));
  const unit = FROM_ZERO.includes(chart.kind) && Math.max(...ys, 0) <= 1;
  const x = scaleOf(xs, LEFT, W - RIGHT, DIAGONAL.includes(chart.kind) ? [0, 1] : FROM_ZERO.includes(chart.kind) ? [0] : []);
  const y = scaleOf(ys, H - BOTTOM, TOP, unit ? [0, 1] : chart.kind === 'residuals' ? [0] : []);
  return (
    <>
      <Axes x={x} y={y} chart={chart} />
      {DIAGONAL.includes(chart.kind) && <line className="reference" x1={x.at(0)} y1={y.at(0)} x2={x.at(1)} y2={y.at(1)} />}
      {chart.kind === 'residuals' && <line className="reference" x1={LEFT} x2={W - RIGHT} y1={y.at(0)} y2={y.at(0)} />}
      {lines.map((l, i) =>
        dots ? (
          <g key={l.name} className={`series-${i % 6}`}>
            {l.points.map((p, j) => (
              <circle key={j} cx={x.at(p[0])} cy={y.at(p[1])} r={2} />
            ))}
          </g>
        ) : (
          <polyline key={l.name} className={`series-${i % 6}`} points={l.points.map((p) => `${x.at(p[0])},${y.at(p[1])}`).join(' ')} />
        ),
      )}
      {lines.length > 1 && (
        <g className="legend-svg" aria-hidden>
          {lines.slice(0, 8).map((l, i) => (
            <text key={l.name} x={LEFT + 8} y={TOP + 12 + i * 15} className={`name-${i % 6}`}>
              {l.name}
            </text>
          ))}
        </g>
      )}
    </>
  );
}

function Bars({ chart }: { chart: Chart }) {
  const names = (chart.labels ?? chart.x ?? []).map(String);
  const values = chart.y ?? chart.series?.[0]?.y ?? [];
  const y = scaleOf(values, H - BOTTOM, TOP, [0]);
  const width = (W - LEFT - RIGHT) / Math.max(1, values.length);
  const gap = names.length <= 12 ? 0.2 * width : 1;
  return (
    <>
      <Axes x={null} y={y} chart={chart} xNames={names.length > 12 ? [names[0] ?? '', names.at(-1) ?? ''] : []} />
      {values.map((v, i) => (
        <rect key={i} className="series-0 filled" x={LEFT + i * width + gap} width={Math.max(1, width - 2 * gap)} y={Math.min(y.at(v), y.at(0))} height={Math.abs(y.at(v) - y.at(0))}>
          <title>{`${names[i] ?? i}: ${figure(v)}`}</title>
        </rect>
      ))}
      {names.length <= 12 &&
        names.map((n, i) => (
          <text key={i} className="axis-text" x={LEFT + (i + 0.5) * width} y={H - BOTTOM + 16} textAnchor="middle" aria-hidden>
            {n.length > 9 ? `${n.slice(0, 8)}…` : n}
          </text>
        ))}
    </>
  );
}

/** Shares of the largest as bars beside names: importance of features, the most frequent values. */
export function Shares({ rows, label }: { rows: [string, number][]; label: string }) {
  const largest = Math.max(...rows.map(([, v]) => Math.abs(v)), 1e-300);
  return (
    <table className="shares" aria-label={label}>
      <tbody>
        {rows.map(([name, v], i) => (
          <tr key={i}>
            <th scope="row" className="break">
              {name}
            </th>
            <td className="share-bar">
              <span style={{ width: `${(100 * Math.abs(v)) / largest}%` }} />
            </td>
            <td className="number">{figure(v)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Confusion({ chart }: { chart: Chart }) {
  const t = useText();
  const labels = (chart.labels ?? []).map(String);
  const counts = chart.counts ?? [];
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={t('studio.chart_confusion')}>
      <table className="confusion">
        <thead>
          <tr>
            <th scope="col">{t('studio.actual_predicted')}</th>
            {labels.map((l) => (
              <th scope="col" key={l}>
                {l}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {counts.map((row, i) => {
            const sum = row.reduce((a, b) => a + b, 0) || 1;
            return (
              <tr key={labels[i] ?? i}>
                <th scope="row">{labels[i] ?? i}</th>
                {row.map((n, j) => (
                  <td key={j} className={i === j ? 'right' : 'wrong'} style={{ '--share': `${Math.round((70 * n) / sum)}%` } as React.CSSProperties} title={`${Math.round((100 * n) / sum)} %`}>
                    {n.toLocaleString()}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Figures({ chart }: { chart: Chart }) {
  const t = useText();
  const lines = chart.kind === 'bars' || chart.kind === 'importance' ? [] : linesOf(chart);
  const rows: unknown[][] = lines.length > 0 ? lines.flatMap((l) => thin(l.points, ROWS).map((p) => [l.name, chart.x_as ? placeOf(p[0], chart.x_as) : p[0], p[1]])) : (chart.y ?? []).map((v, i) => [(chart.labels ?? chart.x ?? [])[i] ?? i, v]);
  const heads = lines.length > 0 ? [t('studio.series'), chart.x_label ?? 'x', chart.y_label ?? 'y'] : [chart.x_label ?? t('data.name'), chart.y_label ?? t('studio.value')];
  return (
    <details>
      <summary>{t('studio.chart_data')}</summary>
      <PlainTable columns={heads} rows={rows.slice(0, ROWS)} label={chart.title ?? chart.kind} />
    </details>
  );
}

export function PlainTable({ columns, rows, label }: { columns: string[]; rows: unknown[][]; label: string }) {
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={label}>
      <table className="figures">
        <thead>
          <tr>
            {columns.map((c, i) => (
              <th scope="col" key={i}>
                {c}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((v, j) => (
                <td key={j} className={typeof v === 'number' ? 'number' : undefined}>
                  {figure(v)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const KINDS = ['roc', 'pr', 'lift', 'calibration', 'residuals', 'importance', 'bars', 'scatter', 'line', 'forecast', 'confusion'] as const;

/** Titles and axes in the user's language, where they are words of ours. */
function useSaid(chart: Chart): Chart {
  const wordOf = useServerWord();
  const nameOf = useMeasure();
  const said = (word: string | undefined) => word && (wordOf('reports', word) ?? (chart.kind === 'forecast' ? word : nameOf(word))); // its axes are columns of the user
  return { ...chart, title: said(chart.title), x_label: said(chart.x_label), y_label: said(chart.y_label) };
}

export function ChartView({ chart: given }: { chart: Chart }) {
  const t = useText();
  const chart = useSaid(given);
  const known = KINDS.find((k) => k === chart.kind);
  const title = chart.title ?? (known ? t(`studio.chart_${known}`) : chart.kind);
  if (chart.kind === 'confusion') {
    return (
      <figure className="chart">
        <figcaption>{title}</figcaption>
        <Confusion chart={chart} />
      </figure>
    );
  }
  if (chart.kind === 'importance') {
    return (
      <figure className="chart">
        <figcaption>{title}</figcaption>
        <Shares label={title} rows={(chart.y ?? []).map((v, i) => [String((chart.labels ?? chart.x ?? [])[i] ?? i), v])} />
      </figure>
    );
  }
  return (
    <figure className="chart">
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 0 ${W} ${H}`} role="img" aria-label={title}>
        {chart.kind === 'bars' ? <Bars chart={chart} /> : chart.kind === 'forecast' ? <Forecast chart={chart} /> : <Lines chart={chart} dots={chart.kind === 'scatter' || chart.kind === 'residuals'} />}
      </svg>
      <Figures chart={chart} />
    </figure>
  );
}
