// How much each two columns go together: a square of figures from -1 to 1, each in its colour.
import { figure, type ReportTable } from './types';

const MOST = 40; // more squares are a carpet: the table says the same

/** Its columns behind the first are its rows. */
export function isMatrix({ columns, rows }: ReportTable): boolean {
  const names = columns.slice(1);
  return names.length > 1 && names.length <= MOST && rows.length === names.length && rows.every((r, i) => r[0] === names[i] && r.slice(1).every((v) => v === null || typeof v === 'number'));
}

export function HeatMap({ table, label }: { table: ReportTable; label: string }) {
  const names = table.columns.slice(1);
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={label}>
      <table className="heat">
        <thead>
          <tr>
            <td />
            {names.map((n) => (
              <th scope="col" key={n} title={n}>
                <span className="ellipsis">{n}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, i) => (
            <tr key={names[i]}>
              <th scope="row" title={names[i]}>
                <span className="ellipsis">{names[i]}</span>
              </th>
              {row.slice(1).map((v, j) => (
                <td
                  key={names[j]}
                  className={typeof v === 'number' && v < 0 ? 'against' : 'with'}
                  style={{ '--share': `${Math.round(60 * Math.min(1, Math.abs(typeof v === 'number' ? v : 0)))}%` } as React.CSSProperties}
                  title={`${names[i]} · ${names[j]}: ${figure(v)}`}
                >
                  {typeof v === 'number' ? v.toFixed(2) : '–'}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
