// Secrets of a project: a value goes in and is never shown again; jobs get it as an environment variable.
import { DeleteOutlined, EditOutlined } from '@ant-design/icons';
import { Button, Card, Form, Input, Modal, Table, Typography } from 'antd';
import { useState } from 'react';
import { deleteSecret, setSecret, useSecrets, type Secret } from '../../api/admin';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { Ago } from '../../components/time';
import { useText } from '../../i18n';

/** `name` empty: a new secret. */
function SetSecret({ project, name, close }: { project: string; name: string; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<{ name: string; value: string }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const save = async (f: { name: string; value: string }) => {
    setBusy(true);
    setError(null);
    try {
      await setSecret(project, name || f.name, f.value);
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={name ? t('admin.secret_set', { name }) : t('admin.secret_new')}
      okText={t('action.save')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" onFinish={(f) => void save(f)}>
        {!name && (
          <Form.Item name="name" label={t('admin.name')} rules={[{ required: true, message: t('admin.name_rule') }]}>
            <Input autoFocus autoComplete="off" className="mono" />
          </Form.Item>
        )}
        <Form.Item name="value" label={t('admin.secret_value')} extra={t('admin.secret_value_hint')} rules={[{ required: true, message: t('admin.secret_rule') }]}>
          <Input.TextArea autoFocus={Boolean(name)} autoSize={{ minRows: 2, maxRows: 10 }} className="mono" autoComplete="off" spellCheck={false} />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

export function Secrets({ project }: { project: string }) {
  const t = useText();
  const { may } = useSession();
  const mayWrite = may('secret:write', project);
  const secrets = useSecrets(project, true);
  const confirm = useConfirm();
  const [setting, setSetting] = useState<string | null>(null);
  const remove = (name: string) =>
    confirm({ title: t('admin.secret_delete', { name }), consequence: t('admin.secret_delete_hint'), ok: t('action.delete'), run: () => deleteSecret(project, name) });
  return (
    <Card
      title={t('admin.secrets')}
      className="flush"
      extra={mayWrite && <Button onClick={() => setSetting('')}>{t('admin.secret_new')}</Button>}
    >
      <Typography.Paragraph type="secondary">{t('admin.secrets_hint')}</Typography.Paragraph>
      {secrets.error ? (
        <ErrorView error={secrets.error} retry={() => void secrets.refetch()} />
      ) : (
        <Table<Secret>
          rowKey="name"
          size="small"
          dataSource={secrets.data?.items ?? []}
          loading={secrets.isLoading}
          pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
          locale={{ emptyText: t('admin.no_secrets') }}
          columns={[
            { title: t('admin.name'), dataIndex: 'name', render: (n: string) => <code className="mono break">{n}</code> },
            {
              title: t('admin.updated'),
              key: 'updated',
              render: (_, s) => (
                <>
                  <Ago at={s.updated_at} /> · {s.updated_by}
                </>
              ),
            },
            ...(mayWrite
              ? [
                  {
                    title: <span className="sr-only">{t('admin.actions_head')}</span>,
                    key: 'actions',
                    width: 88,
                    render: (_: unknown, s: Secret) => (
                      <span className="nowrap">
                        <Button type="text" icon={<EditOutlined />} aria-label={t('admin.secret_set', { name: s.name })} onClick={() => setSetting(s.name)} />
                        <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('admin.secret_delete', { name: s.name })} onClick={() => remove(s.name)} />
                      </span>
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
      {setting !== null && <SetSecret project={project} name={setting} close={() => setSetting(null)} />}
    </Card>
  );
}
