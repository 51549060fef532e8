// A table: its first rows, and each column with its type, what is missing, how its values lie.
import { Segmented } from 'antd';
import { VirtualRows } from '../../../components/VirtualRows';
import { useParam } from '../../../components/useParam';
import { visible } from '../../../api/files';
import { useText } from '../../../i18n';
import { Shares } from './Charts';
import { figure, type ColumnPreview, type TablePreview } from './types';

const ROW = 32;
const WIDTH = 140;
const MOST_COLUMNS = 200;
const LONGEST = 300;

function Rows({ table }: { table: TablePreview }) {
  const t = useText();
  const columns = table.columns.slice(0, MOST_COLUMNS);
  const minWidth = columns.length * WIDTH;
  const grid = `repeat(${columns.length}, minmax(${WIDTH}px, 1fr))`;
  return (
    <VirtualRows
      role="table"
      innerRole="rowgroup"
      className="csv"
      label={t('studio.first_rows')}
      rowCount={table.head.length + 1}
      count={table.head.length}
      rowHeight={ROW}
      minWidth={minWidth}
      head={
        <div role="rowgroup" className="csv-head" style={{ minWidth }}>
          <div role="row" aria-rowindex={1} className="csv-row" style={{ gridTemplateColumns: grid, height: ROW }}>
            {columns.map((c) => (
              <span role="columnheader" key={c.name} title={`${c.name}: ${c.type}`}>
                {visible(c.name)} <span className="secondary small">{c.type}</span>
              </span>
            ))}
          </div>
        </div>
      }
      row={(i) => (
        <div key={i} role="row" aria-rowindex={i + 2} className="csv-row" style={{ gridTemplateColumns: grid, height: ROW }}>
          {columns.map((c, j) => {
            const v = table.head[i]?.[j];
            return (
              <span role="cell" key={c.name} className={typeof v === 'number' ? 'csv-number' : v === null || v === undefined ? 'secondary' : undefined}>
                {v === null || v === undefined ? '–' : visible(String(v).slice(0, LONGEST))}
              </span>
            );
          })}
        </div>
      )}
    />
  );
}

function Histogram({ column }: { column: ColumnPreview }) {
  const t = useText();
  const { edges, counts } = column.histogram as { edges: number[]; counts: number[] };
  const highest = Math.max(...counts, 1);
  const said = counts.map((n, i) => `${figure(edges[i])}–${figure(edges[i + 1])}: ${n}`).join(', ');
  return (
    <svg className="histogram" viewBox={`0 0 ${counts.length * 10} 60`} preserveAspectRatio="none" role="img" aria-label={t('studio.histogram_of', { name: column.name, said })}>
      {counts.map((n, i) => (
        <rect key={i} x={i * 10 + 0.5} width={9} y={60 - (58 * n) / highest} height={(58 * n) / highest}>
          <title>{`${figure(edges[i])} – ${figure(edges[i + 1])}: ${n.toLocaleString()}`}</title>
        </rect>
      ))}
    </svg>
  );
}

function ColumnCard({ column, rows }: { column: ColumnPreview; rows: number }) {
  const t = useText();
  const facts: [string, unknown][] = [
    [t('studio.missing'), column.missing === undefined ? undefined : `${column.missing.toLocaleString()} (${rows > 0 ? Math.round((100 * column.missing) / rows) : 0} %)`],
    [t('studio.distinct'), column.distinct],
    [t('studio.min'), column.min],
    [t('studio.max'), column.max],
    [t('studio.mean'), column.mean],
    [t('studio.std'), column.std],
    [t('studio.median'), column.quantiles?.[2]],
  ];
  return (
    <li className="column-card">
      <h2>
        {visible(column.name)} <span className="secondary small">{column.type}</span>
      </h2>
      {column.histogram ? <Histogram column={column} /> : column.top && column.top.length > 0 ? <Shares label={t('studio.top_values', { name: column.name })} rows={column.top.map(([v, n]) => [visible(String(v)).slice(0, 60), n])} /> : null}
      <dl className="column-facts">
        {facts
          .filter(([, v]) => v !== undefined && v !== null)
          .map(([name, v]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{figure(v)}</dd>
            </div>
          ))}
      </dl>
    </li>
  );
}

export function TableView({ table }: { table: TablePreview }) {
  const t = useText();
  const [as, setAs] = useParam('as');
  const shown = table.columns.slice(0, MOST_COLUMNS);
  const total = table.columns_total ?? table.columns.length;
  return (
    <>
      <div className="preview-head">
        <Segmented
          aria-label={t('preview.as')}
          value={as === 'columns' ? 'columns' : 'rows'}
          onChange={(v) => setAs(v === 'rows' ? '' : v)}
          options={[
            { value: 'rows', label: t('studio.first_rows') },
            { value: 'columns', label: t('studio.columns') },
          ]}
        />
        <span className="secondary">
          {t('studio.table_size', { rows: table.rows.toLocaleString(), columns: total.toLocaleString() })}
          {total > shown.length && ` ${t('preview.columns_cut', { n: shown.length })}`}
        </span>
      </div>
      {as === 'columns' ? (
        <ul className="column-cards">
          {shown.map((c) => (
            <ColumnCard key={c.name} column={c} rows={table.rows} />
          ))}
        </ul>
      ) : (
        <Rows table={table} />
      )}
    </>
  );
}
