// What a registry and a rule are made of.
import { Checkbox, Form, Input, InputNumber, Modal, Radio, Select } from 'antd';
import { saveRegistry, saveRule, type RegistryFields, type RuleFields } from '../../api/replication';
import type { RemoteRegistry, ReplicationRule } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { useSave } from '../../components/useSave';
import { useText } from '../../i18n';

export function RegistryDialog({ registry, close }: { registry: RemoteRegistry | null; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<RegistryFields>();
  const { busy, error, run } = useSave<RegistryFields>((f) => saveRegistry(registry?.name ?? null, f), close);
  return (
    <Modal
      open
      title={registry ? registry.name : t('repl.new_registry')}
      okText={registry ? t('action.save') : t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form
        form={form}
        layout="vertical"
        initialValues={registry ?? { name: '', url: 'https://', user: '', ca_certificate: '', insecure: false }}
        onFinish={(f) => void run(f)}
      >
        {!registry && (
          <Form.Item name="name" label={t('repl.name')} extra={t('repl.name_rule')} rules={[{ required: true, message: t('repl.name_rule') }]}>
            <Input autoFocus autoComplete="off" />
          </Form.Item>
        )}
        <Form.Item name="url" label={t('repl.url')} rules={[{ required: true, message: t('repl.url_rule') }]}>
          <Input autoComplete="off" />
        </Form.Item>
        <Form.Item name="user" label={t('repl.user')} extra={t('repl.user_hint')}>
          <Input autoComplete="off" />
        </Form.Item>
        <Form.Item name="password" label={t('repl.password')} extra={registry?.has_password && t('repl.password_keep')}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Form.Item name="ca_certificate" label={t('repl.ca')}>
          <Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} className="mono" placeholder="-----BEGIN CERTIFICATE-----" />
        </Form.Item>
        <Form.Item name="insecure" valuePropName="checked" extra={t('repl.insecure_hint')}>
          <Checkbox>{t('repl.insecure')}</Checkbox>
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

type Fields = RuleFields & { rate_kib?: number | null };

const FRESH: Partial<Fields> = {
  direction: 'push',
  repositories: '',
  tags: '**',
  destination: '',
  trigger: 'manual',
  schedule: '@daily',
  mirror_deletions: false,
  with_referrers: true,
  enabled: true,
};

function fieldsOf(rule: ReplicationRule): Partial<Fields> {
  return { ...rule, schedule: rule.schedule ?? '@daily', rate_kib: rule.rate_bytes ? Math.round(rule.rate_bytes / 1024) : null };
}

/** What the server takes. */
function bodyOf({ rate_kib, ...f }: Fields): Partial<RuleFields> {
  return { ...f, labels: f.direction === 'pull' ? [] : (f.labels ?? []), schedule: f.trigger === 'schedule' ? f.schedule : null, rate_bytes: (rate_kib ?? 0) * 1024 };
}

/** Of what is pushed: other registries do not tell of theirs. */
function Labels() {
  const t = useText();
  return Form.useWatch<RuleFields['direction']>('direction') === 'pull' ? null : (
    <Form.Item name="labels" label={t('labels.title')} extra={t('labels.rule_hint')}>
      <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[',']} maxCount={10} />
    </Form.Item>
  );
}

function When() {
  const t = useText();
  const direction = Form.useWatch<RuleFields['direction']>('direction');
  const trigger = Form.useWatch<RuleFields['trigger']>('trigger');
  const triggers = direction === 'pull' ? (['manual', 'schedule'] as const) : (['manual', 'schedule', 'event'] as const);
  return (
    <>
      <Form.Item name="trigger" label={t('repl.trigger')}>
        <Select options={triggers.map((value) => ({ value, label: t(`repl.trigger_${value}`) }))} />
      </Form.Item>
      {trigger === 'schedule' && (
        <Form.Item name="schedule" label={t('repl.schedule')} extra={t('repl.schedule_hint')}>
          <Input className="mono" autoComplete="off" />
        </Form.Item>
      )}
    </>
  );
}

export function RuleDialog(props: { rule: ReplicationRule | null; registries: string[]; close: () => void }) {
  const t = useText();
  const { rule, registries, close } = props;
  const [form] = Form.useForm<Fields>();
  const { busy, error, run } = useSave<Fields>((f) => saveRule(rule?.name ?? null, bodyOf(f)), close);
  return (
    <Modal
      open
      width={640}
      title={rule ? rule.name : t('repl.new_rule')}
      okText={rule ? t('action.save') : t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" initialValues={rule ? fieldsOf(rule) : { ...FRESH, registry: registries[0] }} onFinish={(f) => void run(f)}>
        {!rule && (
          <Form.Item name="name" label={t('repl.name')} extra={t('repl.name_rule')} rules={[{ required: true, message: t('repl.name_rule') }]}>
            <Input autoFocus autoComplete="off" />
          </Form.Item>
        )}
        <Form.Item name="direction" label={t('repl.direction')}>
          <Radio.Group
            options={[
              { value: 'push', label: t('repl.direction_push') },
              { value: 'pull', label: t('repl.direction_pull') },
            ]}
            onChange={() => form.setFieldValue('trigger', 'manual')}
          />
        </Form.Item>
        <Form.Item name="registry" label={t('repl.registry')}>
          <Select options={registries.map((value) => ({ value, label: value }))} />
        </Form.Item>
        <Form.Item
          name="repositories"
          label={t('repl.repositories')}
          extra={t('repl.repositories_hint')}
          rules={[{ required: true, message: t('repl.repositories_hint') }]}
        >
          <Input className="mono" autoComplete="off" />
        </Form.Item>
        <Form.Item name="tags" label={t('repl.tags')} extra={t('repl.tags_hint')} rules={[{ required: true, message: t('repl.tags_hint') }]}>
          <Input className="mono" autoComplete="off" />
        </Form.Item>
        <Labels />
        <Form.Item name="destination" label={t('repl.destination')} extra={t('repl.destination_hint')}>
          <Input className="mono" autoComplete="off" />
        </Form.Item>
        <When />
        <Form.Item name="rate_kib" label={t('repl.rate')} extra={t('repl.rate_hint')}>
          <InputNumber min={64} precision={0} />
        </Form.Item>
        {(['mirror_deletions', 'with_referrers', 'enabled'] as const).map((name) => (
          <Form.Item key={name} name={name} valuePropName="checked" noStyle={name !== 'enabled'}>
            <Checkbox>{t(name === 'mirror_deletions' ? 'repl.deletions' : name === 'with_referrers' ? 'repl.referrers' : 'repl.enabled')}</Checkbox>
          </Form.Item>
        ))}
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
