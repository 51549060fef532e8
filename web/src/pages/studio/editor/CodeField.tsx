// Lines of a program: numbered, in a fixed pitch; Tab indents, Enter keeps the indent. The form is narrow, so there is a large window for it.
import { ExpandOutlined } from '@ant-design/icons';
import { Button, Modal } from 'antd';
import { useRef, useState, type KeyboardEvent } from 'react';
import { useText } from '../../../i18n';
import { edited } from './code';

interface Props {
  id: string;
  label: string;
  value: string;
  disabled: boolean;
  placeholder: string;
  onChange: (value: string) => void;
}

function Lines({ id, label, value, disabled, placeholder, rows, onChange }: Props & { rows: number }) {
  const t = useText();
  const gutter = useRef<HTMLDivElement>(null);
  const leaving = useRef(false); // Escape, then Tab: to the next field
  const count = value.split('\n').length;

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    const area = event.currentTarget;
    const change = leaving.current || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey ? null : edited(area.value, area.selectionStart, area.selectionEnd, event.key);
    if (event.key === 'Escape' && !leaving.current) {
      event.stopPropagation(); // the second one is the window's
    }
    leaving.current = event.key === 'Escape';
    if (change !== null) {
      event.preventDefault();
      area.setRangeText(change.text, change.from, change.to, 'end'); // as if typed, so that the caret stays
      onChange(area.value);
    }
  }

  return (
    <div className="code-field mono">
      <div className="code-gutter" aria-hidden ref={gutter}>
        {Array.from({ length: count }, (_, i) => (
          <div key={i}>{i + 1}</div>
        ))}
      </div>
      <textarea
        id={id}
        aria-label={label}
        aria-description={t('studio.code_keys')}
        value={value}
        rows={rows}
        disabled={disabled}
        placeholder={placeholder}
        spellCheck={false}
        autoCapitalize="off"
        autoCorrect="off"
        wrap="off"
        onChange={(e) => onChange(e.target.value)}
        onKeyDown={onKeyDown}
        onScroll={(e) => gutter.current && (gutter.current.scrollTop = e.currentTarget.scrollTop)}
      />
    </div>
  );
}

export function CodeField(props: Props) {
  const t = useText();
  const [open, setOpen] = useState(false);
  return (
    <>
      <Lines {...props} rows={10} />
      <Button size="small" type="text" icon={<ExpandOutlined aria-hidden />} onClick={() => setOpen(true)}>
        {t('studio.code_large')}
      </Button>
      <Modal open={open} title={props.label} width="min(1100px, 94vw)" footer={null} destroyOnHidden onCancel={() => setOpen(false)}>
        <Lines {...props} id={`${props.id}-large`} rows={28} />
        <p className="secondary small">{t('studio.code_keys')}</p>
      </Modal>
    </>
  );
}
