// What a project asks of images before they are pulled and run: keys for signatures, and rules.
import { DeleteOutlined } from '@ant-design/icons';
import { Button, Card, Checkbox, Form, Input, Modal, Select, Skeleton, Table, Typography } from 'antd';
import { useState } from 'react';
import { addTrustKey, deleteTrustKey, SEVERITIES, setTrustPolicy, useTrustKeys, useTrustPolicy } from '../../api/trust';
import type { TrustKey, TrustPolicy } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { Ago } from '../../components/time';
import { useText } from '../../i18n';

function NewKey({ project, close }: { project: string; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<{ name: string; pem: string }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const save = async (f: { name: string; pem: string }) => {
    setBusy(true);
    setError(null);
    try {
      await addTrustKey(project, f);
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  const rules = [{ required: true, message: t('trust.key_needed') }];
  return (
    <Modal open title={t('trust.key_new')} okText={t('action.save')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" onFinish={(f) => void save(f)}>
        <Form.Item name="name" label={t('trust.key_name')} rules={rules}>
          <Input autoFocus autoComplete="off" className="mono" />
        </Form.Item>
        <Form.Item name="pem" label={t('trust.key_pem')} rules={rules}>
          <Input.TextArea autoSize={{ minRows: 4, maxRows: 12 }} className="mono" autoComplete="off" spellCheck={false} placeholder="-----BEGIN PUBLIC KEY-----" />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

export function TrustKeys({ project }: { project: string }) {
  const t = useText();
  const keys = useTrustKeys(project);
  const confirm = useConfirm();
  const [isAdding, setAdding] = useState(false);
  const remove = (name: string) =>
    confirm({ title: t('trust.key_delete', { name }), consequence: t('trust.key_delete_hint'), ok: t('action.delete'), run: () => deleteTrustKey(project, name) });
  return (
    <Card title={t('trust.keys')} className="flush" extra={<Button onClick={() => setAdding(true)}>{t('trust.key_new')}</Button>}>
      <Typography.Paragraph type="secondary">{t('trust.keys_hint')}</Typography.Paragraph>
      {keys.error ? (
        <ErrorView error={keys.error} retry={() => void keys.refetch()} />
      ) : (
        <Table<TrustKey>
          rowKey="name"
          size="small"
          dataSource={keys.data?.items ?? []}
          loading={keys.isLoading}
          pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
          locale={{ emptyText: t('trust.no_keys') }}
          columns={[
            { title: t('trust.key_name'), dataIndex: 'name', render: (n: string) => <code className="mono break">{n}</code> },
            { title: t('trust.algorithm'), dataIndex: 'algorithm' },
            {
              title: t('trust.added'),
              key: 'added',
              render: (_, k) => (
                <>
                  <Ago at={k.created_at} /> · {k.created_by}
                </>
              ),
            },
            {
              title: <span className="sr-only">{t('admin.actions_head')}</span>,
              key: 'actions',
              width: 48,
              render: (_, k) => <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('trust.key_delete', { name: k.name })} onClick={() => remove(k.name)} />,
            },
          ]}
        />
      )}
      {isAdding && <NewKey project={project} close={() => setAdding(false)} />}
    </Card>
  );
}

const NEEDS = ['off', 'pull', 'pull_and_run'] as const satisfies readonly TrustPolicy['require_signature'][];
type Values = Omit<TrustPolicy, 'block_severity'> & { block_severity: string };

function Rules({ project, policy }: { project: string; policy: TrustPolicy }) {
  const t = useText();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const save = async (v: Values) => {
    setBusy(true);
    setError(null);
    try {
      await setTrustPolicy(project, { ...v, block_severity: v.block_severity === 'off' ? null : (v.block_severity as TrustPolicy['block_severity']) });
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return (
    <>
      <Form<Values> name="trust" layout="vertical" initialValues={{ ...policy, block_severity: policy.block_severity ?? 'off' }} onFinish={(v) => void save(v)}>
        <Form.Item name="require_signature" label={t('trust.require')}>
          <Select options={NEEDS.map((n) => ({ value: n, label: t(`trust.require.${n}`) }))} />
        </Form.Item>
        <Form.Item name="block_severity" label={t('trust.block')}>
          <Select
            options={[{ value: 'off', label: t('trust.block.off') }, ...SEVERITIES.filter((s) => s !== 'unknown').map((s) => ({ value: s as string, label: t(`trust.severity.${s}`) }))]}
          />
        </Form.Item>
        <Form.Item name="allowed" label={t('trust.allowed')} extra={t('trust.allowed_hint')}>
          <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
        </Form.Item>
        <Form.Item name="allowed_off" valuePropName="checked" hidden={!policy.allowed_off}>
          <Checkbox>{t('trust.allowed_off')}</Checkbox>
        </Form.Item>
        <Form.Item name="block_unscanned" valuePropName="checked">
          <Checkbox>{t('trust.block_unscanned')}</Checkbox>
        </Form.Item>
        <Form.Item name="scan_on_push" valuePropName="checked">
          <Checkbox>{t('trust.scan_on_push')}</Checkbox>
        </Form.Item>
        <Button htmlType="submit" loading={busy}>
          {t('action.save')}
        </Button>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </>
  );
}

export function TrustRules({ project }: { project: string }) {
  const t = useText();
  const policy = useTrustPolicy(project);
  return (
    <Card title={t('trust.rules')}>
      {policy.error ? <ErrorView error={policy.error} retry={() => void policy.refetch()} /> : policy.data ? <Rules project={project} policy={policy.data} /> : <Skeleton active />}
    </Card>
  );
}
