// One parameter of a module, as its manifest describes it. Empty means the default, which is shown.
import { AutoComplete, Form, Input, Select } from 'antd';
import { useId } from 'react';
import type { Column, DocParam, GraphMistake, Param, Value } from '../../../api/studio';
import { useServerWord, useServerText, useText } from '../../../i18n';
import { countOf, GROUPS, selector, words } from '../graph/columns';
import { CodeField } from './CodeField';
import { Fixes } from './Mistakes';
import { PathField } from './PathField';

interface Props {
  project: string;
  param: Param;
  value: Value | undefined;
  columns: Column[] | null; // null: nobody knows them yet
  runParams: DocParam[];
  mistakes: GraphMistake[];
  disabled: boolean;
  onChange: (value: Value | undefined) => void;
}

/** What the control needs besides: the id that its label is for, and the label's words. */
type Inside = Props & { id: string; label: string };

const isReference = (text: string) => text.includes('${');

/** What is typed as the value of a number: a number where it is one, else as it stands, for the check to judge. */
export function numberOf(typed: string): Value | undefined {
  const text = typed.trim();
  return text === '' ? undefined : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && !isReference(text) ? Number(text) : text;
}

/** A bound that is there only because every number has one says nothing. */
const NO_BOUND = 1_000_000;

function rangeText(t: ReturnType<typeof useText>, min: number, max: number): string {
  if (max < NO_BOUND) {
    return t('studio.range', { min: String(min), max: String(max) });
  }
  return min > -NO_BOUND ? t('studio.range_from', { min: String(min) }) : '';
}

const textOf = (v: Value | undefined) => (v === undefined ? '' : String(v));

function ColumnField({ id, label, value, columns, disabled, placeholder, onChange }: Inside & { placeholder: string }) {
  return (
    <AutoComplete
      id={id}
      value={textOf(value)}
      disabled={disabled}
      placeholder={placeholder}
      allowClear
      aria-label={label}
      showSearch={{ filterOption: (typed, option) => String(option?.value).toLowerCase().includes(typed.toLowerCase()) }}
      options={(columns ?? []).map((c) => ({ value: c.name, label: <ColumnName column={c} /> }))}
      onChange={(v: string | undefined) => onChange(v === undefined || v === '' ? undefined : v)}
    />
  );
}

function ColumnName({ column }: { column: Column }) {
  return (
    <span className="column-name">
      <span className="ellipsis">{column.name}</span> <span className="secondary small">{column.type}</span>
    </span>
  );
}

function ColumnsField({ id, label, param, value, columns, disabled, placeholder, onChange }: Inside & { placeholder: string }) {
  const t = useText();
  const text = textOf(value) || textOf(param.default as Value | undefined);
  return (
    <>
      <Select
        id={id}
        mode="tags"
        value={words(textOf(value))}
        disabled={disabled}
        placeholder={placeholder}
        aria-label={label}
        tokenSeparators={[',']}
        onChange={(list: string[]) => onChange(list.length > 0 ? selector(list) : undefined)}
        options={[
          ...GROUPS.map((g) => ({ value: g, label: `${g} – ${t(`studio.group_${g.slice(1) as 'all' | 'numeric' | 'text'}`)}` })),
          ...(columns ?? []).map((c) => ({ value: c.name, label: <ColumnName column={c} /> })),
          ...(columns ?? []).map((c) => ({ value: `-${c.name}`, label: t('studio.without_column', { name: c.name }) })),
        ]}
      />
      {columns && text && !isReference(text) && <span className="secondary small">{t('studio.columns_of', { n: countOf(text, columns), all: columns.length })}</span>}
    </>
  );
}

function Control(props: Inside) {
  const t = useText();
  const { id, label, param, value, disabled, runParams, onChange } = props;
  const standard = textOf(param.default as Value | undefined);
  const placeholder = standard === '' ? (param.required ? '' : t('studio.empty_default')) : standard;
  const references = runParams.map((p) => `\${${p.name}}`);
  switch (param.type) {
    case 'path':
      return <PathField id={id} project={props.project} value={textOf(value)} placeholder={placeholder} disabled={disabled} onChange={(v) => onChange(v || undefined)} />;
    case 'code':
      return <CodeField id={id} label={label} value={textOf(value)} placeholder={placeholder} disabled={disabled} onChange={(v) => onChange(v === '' ? undefined : v)} />;
    case 'column':
      return <ColumnField {...props} placeholder={placeholder} />;
    case 'columns':
      return <ColumnsField {...props} placeholder={placeholder} />;
    case 'bool':
    case 'choice': {
      const choices = param.type === 'bool' ? ['true', 'false'] : (param.choices ?? []);
      const read = (v: string | undefined) => (v === undefined ? undefined : param.type === 'bool' && !isReference(v) ? v === 'true' : v);
      return (
        <Select
          id={id}
          aria-label={label}
          allowClear={!param.required}
          disabled={disabled}
          placeholder={placeholder}
          value={value === undefined ? undefined : String(value)}
          onChange={(v: string | undefined) => onChange(read(v))}
          options={[...choices, ...references].map((v) => ({ value: v, label: v }))}
        />
      );
    }
    default: {
      const isNumber = param.type === 'int' || param.type === 'real';
      const change = (typed: string) => onChange(isNumber ? numberOf(typed) : typed === '' ? undefined : typed);
      return param.type === 'text' && /expr|query|sql/.test(param.name) ? (
        <Input.TextArea id={id} className="mono" autoSize={{ minRows: 2, maxRows: 10 }} value={textOf(value)} disabled={disabled} placeholder={placeholder} onChange={(e) => change(e.target.value)} />
      ) : (
        <AutoComplete
          id={id}
          aria-label={label}
          value={textOf(value)}
          disabled={disabled}
          placeholder={placeholder}
          options={references.map((r) => ({ value: r }))}
          onChange={(v: string | undefined) => change(v ?? '')}
        />
      );
    }
  }
}

export function ParamField(props: Props) {
  const t = useText();
  const say = useServerText();
  const { param, mistakes } = props;
  const wordOf = useServerWord();
  const said = param.label ?? wordOf('params', param.name);
  const id = useId();
  const isRange = (param.type === 'int' || param.type === 'real' || param.type === 'ints') && param.min !== undefined && param.max !== undefined;
  return (
    <Form.Item
      label={
        said ? (
          <>
            {said} <code className="secondary small param-name">{param.name}</code>
          </>
        ) : (
          param.name
        )
      }
      htmlFor={id}
      required={param.required}
      validateStatus={mistakes.length > 0 ? 'error' : undefined}
      help={mistakes.length > 0 ? <Fixes mistakes={mistakes} /> : undefined}
      extra={
        <span className="small">
          {say(param.help ?? '')} {isRange && rangeText(t, Number(param.min), Number(param.max))}
        </span>
      }
    >
      <Control {...props} id={id} label={said ? `${said} ${param.name}` : param.name} />
    </Form.Item>
  );
}
