// One rule: which repositories and tags it is about, and of retention also what it keeps of them.
import { Checkbox, Form, Input, InputNumber, Modal, Select } from 'antd';
import { changePolicy } from '../../../api/imageRules';
import type { ImagePolicy, ImmutableRule, RetentionRule } from '../../../api/types';
import { useLabelNames } from '../LabelChips';
import { ErrorView } from '../../../components/ErrorView';
import { useText } from '../../../i18n';
import { useSave } from '../../../components/useSave';

export const KEEPS = ['latest_pushed', 'latest_pulled', 'pushed_days', 'pulled_days', 'always'] as const;
const N_MAX = 100_000; // what the server takes

/** The list with the rule in its place, or at the end when it is new. */
const placed = <T extends { id?: number }>(rules: T[], rule: T): T[] =>
  rule.id !== undefined && rules.some((r) => r.id === rule.id) ? rules.map((r) => (r.id === rule.id ? rule : r)) : [...rules, rule];

function About() {
  const t = useText();
  return (
    <>
      <Form.Item name="repositories" label={t('repl.repositories')} extra={t('rules.repositories_hint')} rules={[{ required: true, message: t('rules.repositories_hint') }]}>
        <Input className="mono" autoComplete="off" />
      </Form.Item>
      <Form.Item name="tags" label={t('images.tags')} extra={t('repl.tags_hint')} rules={[{ required: true, message: t('repl.tags_hint') }]}>
        <Input className="mono" autoComplete="off" />
      </Form.Item>
    </>
  );
}

interface Props<T> {
  project: string;
  rule: T | null; // null: a new one
  close: () => void;
}

export function ImmutableDialog({ project, rule, close }: Props<ImmutableRule>) {
  const t = useText();
  const [form] = Form.useForm<ImmutableRule>();
  const save = (f: ImmutableRule) => changePolicy(project, (p): ImagePolicy => ({ ...p, immutable: placed(p.immutable, { ...rule, ...f }) }));
  const { busy, error, run } = useSave(save, close);
  return (
    <Modal open title={t(rule ? 'rules.change' : 'rules.new')} okText={t('action.save')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" initialValues={rule ?? { repositories: '**', tags: 'v*' }} onFinish={(f) => void run(f)}>
        <About />
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

export function RetentionDialog({ project, rule, close }: Props<RetentionRule>) {
  const t = useText();
  const [form] = Form.useForm<RetentionRule>();
  const keep = Form.useWatch('keep', form);
  const names = useLabelNames(project);
  const save = ({ n, ...f }: RetentionRule) =>
    changePolicy(project, (p): ImagePolicy => {
      const { n: _, ...old } = rule ?? ({} as Partial<RetentionRule>);
      const now = { ...old, ...f, ...(f.keep !== 'always' && { n }) };
      return { ...p, retention: { ...p.retention, rules: placed(p.retention.rules, now) } };
    });
  const { busy, error, run } = useSave(save, close);
  return (
    <Modal open title={t(rule ? 'rules.change' : 'rules.new')} okText={t('action.save')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form
        form={form}
        layout="vertical"
        initialValues={{ n: 10, ...(rule ?? { repositories: '**', tags: '**', untagged: true, keep: 'latest_pushed' }) }}
        onFinish={(f) => void run(f)}
      >
        <About />
        <Form.Item name="labels" label={t('labels.title')} extra={t('labels.rule_hint')}>
          <Select mode="multiple" maxCount={10} options={names.map((value) => ({ value, label: value }))} />
        </Form.Item>
        <Form.Item name="keep" label={t('rules.keep')}>
          <Select options={KEEPS.map((value) => ({ value, label: t(`rules.keep_${value}`, { n: 'N' }) }))} />
        </Form.Item>
        {keep !== 'always' && (
          <Form.Item name="n" label="N" rules={[{ required: true, message: t('rules.n_rule') }]}>
            <InputNumber min={1} max={N_MAX} precision={0} />
          </Form.Item>
        )}
        <Form.Item name="untagged" valuePropName="checked">
          <Checkbox>{t('rules.untagged')}</Checkbox>
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
