// CSV as a table.
import { useMemo } from 'react';
import { visible } from '../../../api/files';
import { VirtualRows } from '../../../components/VirtualRows';
import { useText } from '../../../i18n';
import { tableOf, type Table } from './csv';

const MAX_ROWS = 1000;
const MAX_COLUMNS = 200;
const ROW = 32;
const LONGEST = 300; // characters of a cell

/** Widths by what stands in the first rows. */
function widths(table: Table, columns: number): number[] {
  return Array.from({ length: columns }, (_, c) => {
    const longest = [table.head, ...table.rows.slice(0, 60)].reduce((most, r) => Math.max(most, r?.[c]?.length ?? 0), 4);
    return Math.min(320, longest * 9 + 26);
  });
}

export function CsvView({ text, isCut, name }: { text: string; isCut: boolean; name: string }) {
  const t = useText();
  const table = useMemo(() => tableOf(text, MAX_ROWS, isCut), [text, isCut]);
  const columns = Math.min(table.columns, MAX_COLUMNS);
  const sizes = useMemo(() => widths(table, columns), [table, columns]);
  const numberWidth = 56;
  const grid = `${numberWidth}px ${sizes.map((w, i) => (i === columns - 1 ? `minmax(${w}px, 1fr)` : `${w}px`)).join(' ')}`;
  const minWidth = numberWidth + sizes.reduce((a, b) => a + b, 0);
  const cell = (value: string | undefined, c: number, role: 'cell' | 'columnheader') => (
    <span key={c} role={role} className={table.isNumber[c] ? 'csv-number' : undefined} title={value && value.length > 30 ? value.slice(0, 2000) : undefined}>
      {visible((value ?? '').slice(0, LONGEST))}
    </span>
  );
  const all = Array.from({ length: columns }, (_, c) => c);
  return (
    <div className="preview-body">
      <p className="secondary preview-note">
        {t(table.isCut ? 'preview.rows_cut' : 'preview.rows', { n: table.rows.length.toLocaleString(), columns: table.columns })}
        {table.columns > columns && ` ${t('preview.columns_cut', { n: columns })}`}
      </p>
      <VirtualRows
        role="table"
        innerRole="rowgroup"
        className="csv"
        label={t('preview.content', { name })}
        rowCount={table.rows.length + 1}
        count={table.rows.length}
        rowHeight={ROW}
        minWidth={minWidth}
        head={
          <div role="rowgroup" className="csv-head" style={{ minWidth }}>
            <div role="row" aria-rowindex={1} className="csv-row" style={{ gridTemplateColumns: grid, height: ROW }}>
              <span role="columnheader" className="csv-number">
                #
              </span>
              {all.map((c) => cell(table.head ? table.head[c] || t('preview.no_head', { n: c + 1 }) : t('preview.no_head', { n: c + 1 }), c, 'columnheader'))}
            </div>
          </div>
        }
        row={(i) => (
          <div key={i} role="row" aria-rowindex={i + 2} className="csv-row" style={{ gridTemplateColumns: grid, height: ROW }}>
            <span role="cell" className="csv-number secondary">
              {i + 1}
            </span>
            {all.map((c) => cell(table.rows[i]?.[c], c, 'cell'))}
          </div>
        )}
      />
    </div>
  );
}
