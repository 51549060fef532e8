// Text with numbers of lines; only the lines in sight exist.
import { CopyOutlined } from '@ant-design/icons';
import { App, Button, Checkbox, Flex } from 'antd';
import { useEffect, useMemo, useRef, useState } from 'react';
import { VirtualRows } from '../../../components/VirtualRows';
import { visible } from '../../../api/files';
import { useText } from '../../../i18n';
import { useQuery } from '../here';
import { rowsOf } from './lines';

const LINE = 20;
const CHARACTER = 7.83; // of the 13 px monospace font, about
const MARGIN = 90; // number of the line, scroll bar

export function TextView({ text, name }: { text: string; name: string }) {
  const t = useText();
  const { message } = App.useApp();
  const [query, setQuery] = useQuery();
  const isWrapped = query.get('wrap') !== '0';
  const box = useRef<HTMLDivElement>(null);
  const [columns, setColumns] = useState(100);
  useEffect(() => {
    const el = box.current;
    if (!el) {
      return undefined;
    }
    const observer = new ResizeObserver(() => setColumns(Math.max(20, Math.floor((el.clientWidth - MARGIN) / CHARACTER))));
    observer.observe(el);
    return () => observer.disconnect();
  }, []);
  const rows = useMemo(() => rowsOf(text, isWrapped ? columns : null), [text, isWrapped, columns]);
  const widest = useMemo(() => (isWrapped ? undefined : rows.reduce((most, r) => Math.max(most, r.text.length), 0) * CHARACTER * 1.1 + MARGIN), [rows, isWrapped]);
  return (
    <div ref={box} className="preview-body">
      <Flex gap={12} align="center">
        <Checkbox checked={isWrapped} onChange={(e) => setQuery({ wrap: e.target.checked ? null : '0' }, true)}>
          {t('preview.wrap')}
        </Checkbox>
        {navigator.clipboard && (
          <Button type="text" size="small" icon={<CopyOutlined />} onClick={() => void navigator.clipboard.writeText(text).then(() => message.success(t('action.copied')))}>
            {t('preview.copy')}
          </Button>
        )}
      </Flex>
      <VirtualRows
        className="text-rows mono"
        label={t('preview.content', { name })}
        count={rows.length}
        rowHeight={LINE}
        minWidth={widest}
        row={(i) => (
          <div key={i} className="text-row" style={{ height: LINE }}>
            <span className="text-number" aria-hidden="true">
              {rows[i]?.line || ''}
            </span>
            <span className="text-line">{visible(rows[i]?.text ?? '')}</span>
          </div>
        )}
      />
    </div>
  );
}

/** A few lines as they are. */
export function LinesView({ lines, label }: { lines: string[]; label: string }) {
  return (
    <pre className="hex mono" tabIndex={0} role="region" aria-label={label}>
      {lines.join('\n')}
    </pre>
  );
}
