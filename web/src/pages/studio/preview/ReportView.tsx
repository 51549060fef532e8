// How good a model is, or what a table holds: figures first, then charts, then tables.
import { useServerWord } from '../../../i18n';
import { ChartView, PlainTable } from './Charts';
import { HeatMap, isMatrix } from './HeatMap';
import { reportOf } from './report';
import { Measure, useMeasure } from '../parts/Measure';
import { figure, type ReportTable } from './types';

export function Metrics({ metrics }: { metrics: Record<string, unknown> }) {
  return (
    <dl className="metrics-row">
      {Object.entries(metrics).map(([name, v]) => (
        <div key={name}>
          <dt>
            <Measure code={name} />
          </dt>
          <dd>{figure(v)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** By which figure a threshold is the best one. */
const measured = ({ columns, rows }: ReportTable, nameOf: (code: string) => string) =>
  columns[0] === 'by' ? rows.map(([code, ...rest]) => [typeof code === 'string' ? nameOf(code) : code, ...rest]) : rows;

export function ReportView({ raw }: { raw: object }) {
  const report = reportOf(raw);
  const wordOf = useServerWord();
  const nameOf = useMeasure();
  const said = (word: string) => wordOf('reports', word) ?? nameOf(word);
  return (
    <>
      <Metrics metrics={report.metrics ?? {}} />
      <div className="charts">
        {(report.charts ?? []).map((c, i) => (
          <ChartView key={i} chart={c} />
        ))}
      </div>
      {(report.tables ?? []).map((table, i) => (
        <figure key={i} className="chart">
          <figcaption>{said(table.title ?? '')}</figcaption>
          {isMatrix(table) ? (
            <HeatMap table={table} label={said(table.title ?? '')} />
          ) : (
            <PlainTable columns={table.columns.map(said)} rows={measured(table, nameOf).slice(0, 500)} label={said(table.title ?? '')} />
          )}
        </figure>
      ))}
    </>
  );
}
