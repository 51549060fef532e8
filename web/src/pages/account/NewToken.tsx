// A new token: its name, its end, what it may do. The text is shown once and kept nowhere.
import { Alert, Button, Checkbox, Form, Input, Modal, Radio, Select, Typography } from 'antd';
import { useState } from 'react';
import { createToken, usePermissions } from '../../api/admin';
import type { TokenMade } from '../../api/types';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { useText } from '../../i18n';
import { usePermissionText } from '../admin/permissions';

const DAY = 86400;
const LIVES = [7, 30, 90, 365, 0] as const; // days; 0: without end

interface Fields {
  name: string;
  days: number;
  kind: 'all' | 'some';
  scopes: string[];
}

function ScopeBoxes(props: { value?: string[]; onChange?: (scopes: string[]) => void }) {
  const { me } = useSession();
  const text = usePermissionText();
  const roles = usePermissions().data?.roles ?? {};
  // What nobody but an administrator holds is no choice for others.
  const mine = new Set(me.is_admin ? roles.admin : [...(roles.user ?? []), ...(roles.maintainer ?? [])]);
  const all = (roles.admin ?? []).filter((p) => mine.has(p) && p !== 'public');
  return (
    <Checkbox.Group value={props.value} onChange={props.onChange} className="scopes">
      {all.map((p) => (
        <Checkbox key={p} value={p}>
          <span className="mono">{p}</span>
          <div className="secondary">{text(p)}</div>
        </Checkbox>
      ))}
    </Checkbox.Group>
  );
}

function Made({ token, close }: { token: TokenMade; close: () => void }) {
  const t = useText();
  return (
    <Modal open title={t('account.token_made', { name: token.name })} onCancel={close} footer={<Button type="primary" onClick={close}>{t('account.token_kept')}</Button>}>
      <Alert type="warning" showIcon title={t('account.token_once')} description={t('account.token_once_hint')} />
      <Typography.Paragraph copyable={{ text: token.token }} className="mono once token-text">
        {token.token}
      </Typography.Paragraph>
      <Typography.Text type="secondary">{t('account.token_use')}</Typography.Text>
      <pre className="mono once">export STRATA_TOKEN=strata_…</pre>
    </Modal>
  );
}

export function NewToken({ close }: { close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<Fields>();
  const kind = Form.useWatch('kind', form);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [made, setMade] = useState<TokenMade | null>(null);
  const create = async (f: Fields) => {
    setBusy(true);
    setError(null);
    try {
      setMade(
        await createToken({
          name: f.name.trim(),
          ...(f.days > 0 && { expires_in_seconds: f.days * DAY }),
          ...(f.kind === 'some' && { scopes: f.scopes }),
        }),
      );
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  if (made) {
    return <Made token={made} close={close} />;
  }
  return (
    <Modal open width={680} title={t('account.new_token')} okText={t('action.create')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" initialValues={{ days: 90, kind: 'all', scopes: [] }} onFinish={(f) => void create(f)}>
        <Form.Item name="name" label={t('admin.name')} extra={t('account.token_name_hint')} rules={[{ required: true, whitespace: true, message: t('admin.name_rule') }]}>
          <Input autoFocus autoComplete="off" />
        </Form.Item>
        <Form.Item name="days" label={t('account.expires')}>
          <Select options={LIVES.map((d) => ({ value: d, label: d ? t('account.days', { n: d }) : t('account.never') }))} />
        </Form.Item>
        <Form.Item name="kind" label={t('account.scopes')}>
          <Radio.Group
            options={[
              { value: 'all', label: t('account.scopes_all') },
              { value: 'some', label: t('account.scopes_some') },
            ]}
          />
        </Form.Item>
        {kind === 'some' && (
          <Form.Item name="scopes" rules={[{ required: true, type: 'array', min: 1, message: t('account.scopes_rule') }]}>
            <ScopeBoxes />
          </Form.Item>
        )}
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
