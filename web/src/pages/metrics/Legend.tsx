// The series of a chart by name; a click hides one.
import { Button } from 'antd';
import { useText } from '../../i18n';
import type { Line } from './Graph';
import { shown } from './promql';

const lastOf = (values: (number | null)[]) => values.filter((v) => v !== null).at(-1);

export function Legend({ lines, hidden, toggle }: { lines: Line[]; hidden: Set<string>; toggle: (name: string) => void }) {
  const t = useText();
  return (
    <ul className="legend">
      {lines.map((l) => {
        const last = lastOf(l.values);
        const off = hidden.has(l.name);
        return (
          <li key={l.name}>
            <Button type="text" size="small" aria-pressed={!off} aria-label={t(off ? 'metrics.show' : 'metrics.hide', { name: l.name })} onClick={() => toggle(l.name)}>
              <span className="swatch" style={{ background: off ? 'transparent' : l.color, borderColor: l.color }} />
              <span className={off ? 'mono off' : 'mono'}>{l.name}</span>
            </Button>
            <span className="mono secondary">{last === undefined || last === null ? '–' : shown(last)}</span>
          </li>
        );
      })}
    </ul>
  );
}
