// Creating a user and giving one a new password: the password is shown once, to be handed over.
import { Alert, Button, Checkbox, Form, Input, Modal, Space, Typography } from 'antd';
import { useState } from 'react';
import { changeUser, createUser } from '../../api/admin';
import { ErrorView } from '../../components/ErrorView';
import { useText } from '../../i18n';
import { newPassword } from './password';

interface Fields {
  name: string;
  password: string;
  is_admin: boolean;
}

function PasswordField({ generate }: { generate: () => void }) {
  const t = useText();
  return (
    <Form.Item label={t('admin.password')} required>
      <Space.Compact block>
        <Form.Item name="password" noStyle rules={[{ required: true, min: 8, message: t('admin.password_rule') }]}>
          <Input aria-label={t('admin.password')} autoComplete="new-password" className="mono" />
        </Form.Item>
        <Button onClick={generate}>{t('admin.generate')}</Button>
      </Space.Compact>
    </Form.Item>
  );
}

/** `user`: whose password is to be reset; null: a new user is made. */
export function UserDialog({ user, close }: { user: string | null; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<Fields>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<{ name: string; password: string } | null>(null);
  const save = async (f: Fields) => {
    setBusy(true);
    setError(null);
    try {
      if (user) {
        await changeUser(user, { password: f.password });
      } else {
        await createUser({ name: f.name, password: f.password, is_admin: Boolean(f.is_admin) });
      }
      setDone({ name: user ?? f.name, password: f.password });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const title = user ? t('admin.reset_title', { name: user }) : t('admin.new_user');
  if (done) {
    return (
      <Modal open title={title} onCancel={close} footer={<Button onClick={close}>{t('action.close')}</Button>}>
        <Alert
          type="success"
          showIcon
          title={t(user ? 'admin.reset_done' : 'admin.user_made', { name: done.name })}
          description={
            <>
              <Typography.Paragraph copyable={{ text: done.password }} className="mono once">
                {done.password}
              </Typography.Paragraph>
              {t('admin.hand_over')}
            </>
          }
        />
      </Modal>
    );
  }
  return (
    <Modal
      open
      title={title}
      okText={user ? t('action.save') : t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" initialValues={{ password: newPassword(), is_admin: false }} onFinish={(f) => void save(f)}>
        {!user && (
          <Form.Item name="name" label={t('admin.name')} rules={[{ required: true, message: t('admin.name_rule') }]}>
            <Input autoFocus autoComplete="off" />
          </Form.Item>
        )}
        <PasswordField generate={() => form.setFieldValue('password', newPassword())} />
        {user ? (
          <Typography.Text type="secondary">{t('admin.reset_hint')}</Typography.Text>
        ) : (
          <Form.Item name="is_admin" valuePropName="checked" extra={t('admin.make_admin_hint')}>
            <Checkbox>{t('admin.administrator')}</Checkbox>
          </Form.Item>
        )}
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
