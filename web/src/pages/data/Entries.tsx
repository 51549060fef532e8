// The table of a folder: only rows in sight exist, so that 100,000 entries are no more work than ten.
import type { MenuProps } from 'antd';
import { useMemo } from 'react';
import { Link } from 'react-router-dom';
import { joinRaw, pageOf, rawOf, type Place } from '../../api/files';
import type { Entry } from '../../api/types';
import { bytes } from '../../components/format';
import { RowMenu } from '../../components/RowMenu';
import { VirtualRows } from '../../components/VirtualRows';
import { useLanguage, useText } from '../../i18n';
import { EntryIcon, NameText, shownName } from './EntryName';
import { previewQuery } from './here';

export const ROW = 44;

interface Props {
  place: Place;
  raw: string;
  label: string;
  items: Entry[];
  hasMore: boolean;
  more: () => void;
  selected: ReadonlySet<string> | null; // null: nothing can be selected
  select: (names: ReadonlySet<string>) => void;
  menu: (entry: Entry) => MenuProps;
}

function Head({ items, selected, select }: Pick<Props, 'items' | 'selected' | 'select'>) {
  const t = useText();
  const all = selected !== null && items.length > 0 && selected.size >= items.length;
  return (
    <div role="rowgroup" className="entries-head">
      <div role="row" aria-rowindex={1} className="entry entry-head">
        <span role="columnheader">
          {!selected && <span className="unseen">{t('data.type')}</span>}
          {selected && (
            <input
              type="checkbox"
              aria-label={t('data.select_all')}
              title={t('data.select_all')}
              checked={all}
              ref={(el) => {
                if (el) {
                  el.indeterminate = selected.size > 0 && !all;
                }
              }}
              onChange={() => select(all ? new Set() : new Set(items.map(rawOf)))}
            />
          )}
        </span>
        <span role="columnheader">{t('data.name')}</span>
        <span role="columnheader" className="entry-size">
          {t('data.size')}
        </span>
        <span role="columnheader" className="entry-time">
          {t('data.modified')}
        </span>
        <span role="columnheader">
          <span className="unseen">{t('data.actions')}</span>
        </span>
      </div>
    </div>
  );
}

function Row({ entry, index, time, ...p }: Pick<Props, 'place' | 'raw' | 'selected' | 'select' | 'menu'> & { entry: Entry; index: number; time: string }) {
  const t = useText();
  const raw = rawOf(entry);
  const isSelected = p.selected?.has(raw) ?? false;
  const size = entry.type === 'dir' ? '' : bytes(entry.size_bytes);
  const toggle = () => {
    const next = new Set(p.selected);
    if (!next.delete(raw)) {
      next.add(raw);
    }
    p.select(next);
  };
  return (
    <div role="row" aria-rowindex={index + 2} aria-selected={p.selected ? isSelected : undefined} className={`entry ${isSelected ? 'entry-selected' : ''}`} style={{ height: ROW }}>
      <span role="cell">
        {p.selected && <input type="checkbox" checked={isSelected} aria-label={t('data.select', { name: shownName(entry) })} onChange={toggle} />}
      </span>
      <span role="cell" className="entry-cell">
        <EntryIcon entry={entry} />
        <span className="entry-words">
          {entry.type === 'other' ? (
            <NameText entry={entry} />
          ) : (
            <Link to={entry.type === 'dir' ? pageOf(p.place, joinRaw(p.raw, raw)) : pageOf(p.place, p.raw) + previewQuery(raw)}>
              <NameText entry={entry} />
            </Link>
          )}
          <span className="entry-below secondary">{[size, time].filter(Boolean).join(' · ')}</span>
        </span>
      </span>
      <span role="cell" className="entry-size">
        {size}
      </span>
      <span role="cell" className="entry-time secondary">
        <time dateTime={entry.modified_at ?? undefined}>{time}</time>
      </span>
      <span role="cell">
        <RowMenu label={t('data.more_of', { name: shownName(entry) })} menu={() => p.menu(entry)} />
      </span>
    </div>
  );
}

export function Entries(props: Props) {
  const { items, label } = props;
  const { language } = useLanguage();
  const format = useMemo(() => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }), [language]);
  return (
    <VirtualRows
      role="table"
      innerRole="rowgroup"
      label={label}
      rowCount={props.hasMore ? -1 : items.length + 1}
      className="entries"
      head={<Head {...props} />}
      count={items.length}
      rowHeight={ROW}
      onNearEnd={props.more}
      row={(i) => {
        const entry = items[i];
        return entry && <Row key={rawOf(entry)} {...props} entry={entry} index={i} time={entry.modified_at ? format.format(new Date(entry.modified_at)) : ''} />;
      }}
    />
  );
}
