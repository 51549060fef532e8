// The series of a chart by name, with their values where the pointer is, or the last ones; a click hides one.
import { Button, Flex } from 'antd';
import { useLanguage } from '../../i18n';
import type { Line } from './Graph';
import { shownIn, type Unit } from './promql';

const lastOf = (values: (number | null)[]) => values.filter((v) => v !== null).at(-1);

interface Props {
  times: number[];
  at: number | null;
  lines: Line[];
  unit: Unit;
  hidden: Set<string>;
  toggle: (name: string) => void;
}

export function Legend({ times, at, lines, unit, hidden, toggle }: Props) {
  const { t, language } = useLanguage();
  const time = at === null ? undefined : times[at];
  return (
    <>
      <Flex justify="space-between" className="secondary">
        <span>{t('metrics.n_series', { n: lines.length })}</span>
        <span>{time === undefined ? t('metrics.last') : new Date(time * 1000).toLocaleString(language, { dateStyle: 'short', timeStyle: 'medium' })}</span>
      </Flex>
      <ul className="legend">
        {lines.map((l) => {
          const last = at === null ? lastOf(l.values) : l.values[at];
          const off = hidden.has(l.name);
          return (
            <li key={l.name}>
              <Button type="text" size="small" aria-pressed={!off} aria-label={t(off ? 'metrics.show' : 'metrics.hide', { name: l.name })} onClick={() => toggle(l.name)}>
                <span className="swatch" style={{ background: off ? 'transparent' : l.color, borderColor: l.color }} />
                <span className={off ? 'mono off' : 'mono'}>{l.name}</span>
              </Button>
              <span className="mono secondary">{last === undefined || last === null ? '–' : shownIn(last, unit)}</span>
            </li>
          );
        })}
      </ul>
    </>
  );
}
