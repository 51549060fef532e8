// Rows of the form: environment, secrets, volumes.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { AutoComplete, Button, Flex, Input, Segmented } from 'antd';
import type { ReactNode } from 'react';
import { useText } from '../../../i18n';
import type { Pair, VolumeRow } from './spec';

interface RowsProps<T> {
  rows: T[];
  onChange: (rows: T[]) => void;
  empty: T;
  add: string;
  children: (row: T, put: (part: Partial<T>) => void, n: number) => ReactNode;
}

function Rows<T>({ rows, onChange, empty, add, children }: RowsProps<T>) {
  const t = useText();
  return (
    <Flex vertical gap={6}>
      {rows.map((row, i) => (
        <div className="form-row" key={i}>
          {children(row, (part) => onChange(rows.map((r, k) => (k === i ? { ...r, ...part } : r))), i + 1)}
          <Button icon={<DeleteOutlined />} aria-label={t('jobs.remove_row', { n: i + 1 })} onClick={() => onChange(rows.filter((_, k) => k !== i))} />
        </div>
      ))}
      <Button icon={<PlusOutlined />} style={{ alignSelf: 'start' }} onClick={() => onChange([...rows, empty])}>
        {add}
      </Button>
    </Flex>
  );
}

const NO_PAIR: Pair = { name: '', value: '' };

export function EnvRows({ rows, onChange }: { rows: Pair[]; onChange: (r: Pair[]) => void }) {
  const t = useText();
  return (
    <Rows rows={rows} onChange={onChange} empty={NO_PAIR} add={t('jobs.add_env')}>
      {(row, put, n) => (
        <>
          <Input className="mono" value={row.name} placeholder="OMP_NUM_THREADS" aria-label={t('jobs.env_name', { n })} onChange={(e) => put({ name: e.target.value })} />
          <Input className="mono" value={row.value} placeholder="2" aria-label={t('jobs.env_value', { n })} onChange={(e) => put({ value: e.target.value })} />
        </>
      )}
    </Rows>
  );
}

/** A name of those that are there, or any other. */
function Known(props: { value: string; names: string[]; label: string; placeholder: string; onChange: (v: string) => void }) {
  return (
    <AutoComplete
      value={props.value}
      onChange={props.onChange}
      aria-label={props.label}
      placeholder={props.placeholder}
      options={props.names.map((value) => ({ value }))}
      showSearch={{ filterOption: (typed, o) => (o?.value ?? '').includes(typed) }}
    />
  );
}

export function SecretRows({ rows, onChange, names }: { rows: Pair[]; onChange: (r: Pair[]) => void; names: string[] }) {
  const t = useText();
  return (
    <Rows rows={rows} onChange={onChange} empty={NO_PAIR} add={t('jobs.add_secret')}>
      {(row, put, n) => (
        <>
          <Input className="mono" value={row.name} placeholder="API_KEY" aria-label={t('jobs.env_name', { n })} onChange={(e) => put({ name: e.target.value })} />
          <Known value={row.value} names={names} label={t('jobs.secret_name', { n })} placeholder={t('jobs.secret')} onChange={(value) => put({ value })} />
        </>
      )}
    </Rows>
  );
}

export function VolumeRows({ rows, onChange, names }: { rows: VolumeRow[]; onChange: (r: VolumeRow[]) => void; names: string[] }) {
  const t = useText();
  return (
    <Rows<VolumeRow> rows={rows} onChange={onChange} empty={{ name: names[0] ?? '', path: '/data', mode: 'ro' }} add={t('jobs.add_volume')}>
      {(row, put, n) => (
        <>
          <Known value={row.name} names={names} label={t('jobs.volume_name', { n })} placeholder={t('jobs.volume')} onChange={(name) => put({ name })} />
          <Input className="mono" value={row.path} placeholder="/data" aria-label={t('jobs.volume_path', { n })} onChange={(e) => put({ path: e.target.value })} />
          <Segmented<'ro' | 'rw'>
            aria-label={t('jobs.volume_mode', { n })}
            value={row.mode}
            onChange={(mode) => put({ mode })}
            options={[
              { value: 'ro', label: t('jobs.ro') },
              { value: 'rw', label: t('jobs.rw') },
            ]}
          />
        </>
      )}
    </Rows>
  );
}
