// What a webhook is made of. Its header and its key are never shown again: an empty field leaves them as they are.
import { Checkbox, Form, Input, Modal, Radio } from 'antd';
import { saveWebhook } from '../../../api/imageRules';
import type { Webhook, WebhookChange, WebhookEvent } from '../../../api/types';
import { ErrorView } from '../../../components/ErrorView';
import { useText } from '../../../i18n';
import { useSave } from '../../../components/useSave';

export const EVENTS: WebhookEvent[] = ['PUSH_ARTIFACT', 'PULL_ARTIFACT', 'DELETE_ARTIFACT', 'QUOTA_WARNING', 'QUOTA_EXCEED', 'TAG_RETENTION', 'REPLICATION', 'SCANNING_COMPLETED', 'SCANNING_FAILED', 'SCANNING_STOPPED'];

interface Fields {
  name: string;
  url: string;
  events: WebhookEvent[];
  format: Webhook['format'];
  repositories: string;
  tags: string;
  auth_header: string;
  secret: string;
  ca: string;
  drops: ('auth_header' | 'secret')[]; // what shall be no more
}

function bodyOf(f: Fields): WebhookChange {
  const secret = (key: 'auth_header' | 'secret') => (f.drops.includes(key) ? { [key]: null } : f[key] ? { [key]: f[key] } : {});
  return {
    name: f.name.trim(),
    url: f.url.trim(),
    events: f.events,
    format: f.format,
    repositories: f.repositories.trim() || null,
    tags: f.tags.trim() || null,
    ca: f.ca.trim() || null,
    ...secret('auth_header'),
    ...secret('secret'),
  };
}

const FRESH: Fields = { name: '', url: 'https://', events: ['PUSH_ARTIFACT'], format: 'Default', repositories: '', tags: '', auth_header: '', secret: '', ca: '', drops: [] };

const fieldsOf = (h: Webhook): Fields => ({ ...FRESH, name: h.name, url: h.url, events: h.events, format: h.format, repositories: h.repositories, tags: h.tags, ca: h.ca });

/** What was set before, and only to be dropped: it is not shown. */
function Kept({ hook }: { hook: Webhook }) {
  const t = useText();
  const options = [
    ...(hook.has_auth_header ? [{ value: 'auth_header', label: t('hook.drop_auth') }] : []),
    ...(hook.has_secret ? [{ value: 'secret', label: t('hook.drop_secret') }] : []),
  ];
  return options.length > 0 ? (
    <Form.Item name="drops">
      <Checkbox.Group options={options} />
    </Form.Item>
  ) : null;
}

export function WebhookDialog({ project, hook, close }: { project: string; hook: Webhook | null; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<Fields>();
  const { busy, error, run } = useSave<Fields>((f) => saveWebhook(project, hook, bodyOf({ ...FRESH, ...f })), close);
  return (
    <Modal
      open
      width={640}
      title={hook ? hook.name : t('hook.new')}
      okText={hook ? t('action.save') : t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" initialValues={hook ? fieldsOf(hook) : FRESH} onFinish={(f) => void run(f)}>
        <Form.Item name="name" label={t('repl.name')} rules={[{ required: true, whitespace: true, message: t('admin.name_rule') }]}>
          <Input autoFocus={!hook} autoComplete="off" />
        </Form.Item>
        <Form.Item name="url" label={t('repl.url')} rules={[{ required: true, message: t('repl.url_rule') }]}>
          <Input autoComplete="off" />
        </Form.Item>
        <Form.Item name="events" label={t('hook.events')} rules={[{ validator: (_, chosen: WebhookEvent[]) => (chosen.length > 0 ? Promise.resolve() : Promise.reject(new Error(t('account.scopes_rule')))) }]}>
          <Checkbox.Group className="hook-events" options={EVENTS.map((value) => ({ value, label: t(`hook.event_${value}`) }))} />
        </Form.Item>
        <Form.Item name="format" label={t('hook.format')}>
          <Radio.Group
            options={[
              { value: 'Default', label: t('hook.format_default') },
              { value: 'CloudEvents', label: 'CloudEvents 1.0' },
            ]}
          />
        </Form.Item>
        <Form.Item name="repositories" label={t('repl.repositories')} extra={t('hook.all_hint')}>
          <Input className="mono" autoComplete="off" placeholder="**" />
        </Form.Item>
        <Form.Item name="tags" label={t('images.tags')} extra={t('hook.all_hint')}>
          <Input className="mono" autoComplete="off" placeholder="**" />
        </Form.Item>
        <Form.Item name="auth_header" label={t('hook.auth')} extra={t(hook?.has_auth_header ? 'hook.kept' : 'hook.auth_hint')}>
          <Input.Password autoComplete="new-password" placeholder="Bearer …" />
        </Form.Item>
        <Form.Item name="secret" label={t('hook.secret')} extra={t(hook?.has_secret ? 'hook.kept' : 'hook.secret_hint')}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        {hook && <Kept hook={hook} />}
        <Form.Item name="ca" label={t('repl.ca')}>
          <Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} className="mono" placeholder="-----BEGIN CERTIFICATE-----" />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
