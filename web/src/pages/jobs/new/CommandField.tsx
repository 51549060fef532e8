// A command: as one line, split as a shell would, or word by word.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Flex, Input, Segmented, Tag, Typography } from 'antd';
import { useEffect, useState } from 'react';
import { useText } from '../../../i18n';
import { join, split } from './words';

interface Props {
  id: string;
  value: string[];
  onChange: (words: string[]) => void;
  placeholder: string;
  label: string;
}

const same = (a: string[], b: string[]) => a.length === b.length && a.every((w, i) => w === b[i]);

function OneLine({ id, value, onChange, placeholder }: Props) {
  const t = useText();
  const [line, setLine] = useState(() => join(value));
  // The words were changed elsewhere; what one types here (a blank at the end, an open quote) stays.
  useEffect(() => setLine((l) => (same(split(l).words, value) ? l : join(value))), [value]);
  const { words, isOpen, wantsShell } = split(line);
  return (
    <Flex vertical gap={6}>
      <Input.TextArea
        id={id}
        className="mono"
        autoSize={{ minRows: 1, maxRows: 8 }}
        value={line}
        placeholder={placeholder}
        onChange={(e) => {
          setLine(e.target.value);
          onChange(split(e.target.value).words);
        }}
      />
      {words.length > 0 && (
        <Flex gap={4} wrap aria-label={t('jobs.words')} role="group">
          {words.map((w, i) => (
            <Tag key={i} className="word mono">
              {w === '' ? "''" : w}
            </Tag>
          ))}
        </Flex>
      )}
      {isOpen && <Typography.Text type="warning">{t('jobs.open_quote')}</Typography.Text>}
      {wantsShell && !isOpen && (
        <Flex gap={8} wrap align="center">
          <Typography.Text type="warning">{t('jobs.wants_shell')}</Typography.Text>
          <Button size="small" onClick={() => onChange(['sh', '-c', line])}>
            {t('jobs.use_shell')}
          </Button>
        </Flex>
      )}
    </Flex>
  );
}

function Words({ value, onChange, label }: Props) {
  const t = useText();
  const put = (i: number, w: string) => onChange(value.map((old, k) => (k === i ? w : old)));
  return (
    <Flex vertical gap={6}>
      {value.map((w, i) => (
        <Flex key={i} gap={6}>
          <Input.TextArea className="mono" autoSize={{ minRows: 1, maxRows: 12 }} value={w} aria-label={`${label} ${i + 1}`} onChange={(e) => put(i, e.target.value)} />
          <Button icon={<DeleteOutlined />} aria-label={t('jobs.remove_word', { n: i + 1 })} onClick={() => onChange(value.filter((_, k) => k !== i))} />
        </Flex>
      ))}
      <Button icon={<PlusOutlined />} onClick={() => onChange([...value, ''])} style={{ alignSelf: 'start' }}>
        {t('jobs.add_word')}
      </Button>
    </Flex>
  );
}

export function CommandField(props: Props) {
  const t = useText();
  const [asList, setAsList] = useState(() => props.value.some((w) => w.includes('\n')));
  return (
    <Flex vertical gap={6}>
      <Segmented
        size="small"
        style={{ alignSelf: 'start' }}
        value={asList ? 'list' : 'line'}
        onChange={(v) => setAsList(v === 'list')}
        options={[
          { value: 'line', label: t('jobs.as_line') },
          { value: 'list', label: t('jobs.as_list') },
        ]}
      />
      {asList ? <Words {...props} /> : <OneLine {...props} />}
    </Flex>
  );
}
