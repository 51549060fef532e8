// JSON as a tree that opens and closes.
import { CaretDownOutlined, CaretRightOutlined } from '@ant-design/icons';
import { Alert, Button, Flex } from 'antd';
import { useMemo, useState } from 'react';
import { visible } from '../../../api/files';
import { VirtualRows } from '../../../components/VirtualRows';
import { useText } from '../../../i18n';
import { Exact, isBranch, jsonRows, parseJson, type Json, type JsonRow } from './jsonRows';
import { TextView } from './TextView';

const ROW = 24;
const DEEPEST = 100;
const OPEN_AT_FIRST = 2; // levels
const LONG = 50; // elements: longer ones are closed at first
const LONGEST = 500; // characters of a string

function Value({ value }: { value: Json }) {
  if (value instanceof Exact) {
    return <span className="json-number">{value.text}</span>;
  }
  if (typeof value === 'string') {
    return <span className="json-string">{visible(JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value))}</span>;
  }
  return <span className={`json-${value === null ? 'null' : typeof value}`}>{String(value)}</span>;
}

function Row({ row, toggle }: { row: JsonRow; toggle: () => void }) {
  const t = useText();
  const name = row.name !== null && <span className="json-name">{visible(row.name)}: </span>;
  const style = { height: ROW, paddingInlineStart: 8 + Math.min(row.depth, 40) * 18 };
  if (row.more > 0) {
    return (
      <div className="json-row secondary" style={style}>
        {t('preview.json_more', { n: row.more.toLocaleString() })}
      </div>
    );
  }
  if (!isBranch(row.value) || row.size === 0) {
    return (
      <div className="json-row" style={style}>
        <span className="json-caret" />
        {name}
        {isBranch(row.value) ? <span className="secondary">{Array.isArray(row.value) ? '[]' : '{}'}</span> : <Value value={row.value} />}
      </div>
    );
  }
  if (row.depth >= DEEPEST) {
    return (
      <div className="json-row secondary" style={style}>
        {name} {t('preview.json_deep')}
      </div>
    );
  }
  return (
    <div className="json-row" style={style}>
      <button type="button" className="json-toggle" aria-expanded={row.isOpen} onClick={toggle}>
        <span className="json-caret">{row.isOpen ? <CaretDownOutlined /> : <CaretRightOutlined />}</span>
        {name}
        <span className="secondary">{Array.isArray(row.value) ? `[${row.size}]` : `{${row.size}}`}</span>
      </button>
    </div>
  );
}

function Tree({ root, name }: { root: Json; name: string }) {
  const t = useText();
  const [level, setLevel] = useState(OPEN_AT_FIRST); // branches above are open, unless they were toggled
  const largest = level === OPEN_AT_FIRST ? LONG : Infinity;
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(
    () =>
      jsonRows(root, (path, depth, size) => {
        const isOpen = depth < level && (depth === 0 || size <= largest);
        return depth < DEEPEST && isOpen !== toggled.has(path);
      }),
    [root, level, largest, toggled],
  );
  const all = (to: number) => {
    setLevel(to);
    setToggled(new Set());
  };
  const toggle = (path: string) => {
    const next = new Set(toggled);
    if (!next.delete(path)) {
      next.add(path);
    }
    setToggled(next);
  };
  return (
    <div className="preview-body">
      <Flex gap={8}>
        <Button size="small" onClick={() => all(DEEPEST)}>
          {t('preview.json_expand')}
        </Button>
        <Button size="small" onClick={() => all(1)}>
          {t('preview.json_collapse')}
        </Button>
      </Flex>
      <VirtualRows
        className="json mono"
        label={t('preview.content', { name })}
        count={rows.length}
        rowHeight={ROW}
        row={(i) => {
          const row = rows[i];
          return row && <Row key={row.path} row={row} toggle={() => toggle(row.path)} />;
        }}
      />
    </div>
  );
}

export function JsonView({ text, isCut, name }: { text: string; isCut: boolean; name: string }) {
  const t = useText();
  const parsed = useMemo(() => {
    try {
      return isCut ? null : { value: parseJson(text) };
    } catch (e) {
      return { why: (e as Error).message };
    }
  }, [text, isCut]);
  if (parsed && 'value' in parsed) {
    return <Tree root={parsed.value as Json} name={name} />;
  }
  return (
    <>
      <Alert type="info" showIcon title={parsed ? t('preview.json_bad', { why: parsed.why ?? '' }) : t('preview.json_big')} className="preview-note" />
      <TextView text={text} name={name} />
    </>
  );
}
