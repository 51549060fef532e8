// The sign-in page; the same as a dialog over the page when a session has ended.
import { Alert, Button, Card, Flex, Form, Input, Modal, Typography } from 'antd';
import { useState } from 'react';
import { ApiError } from '../api/client';
import { signIn } from '../api/session';
import type { Me } from '../api/types';
import { useText } from '../i18n';
import { LanguageMenu } from './menus';
import { Mark } from './Mark';

/** With when it was asked, of Date.now(). */
type Done = (me: Me, asked: number) => void;

interface Fields {
  user: string;
  password: string;
}

function SignInForm({ user, done }: { user: string | null; done: Done }) {
  const t = useText();
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (fields: Fields) => {
    const asked = Date.now();
    setBusy(true);
    try {
      done(await signIn(fields.user, fields.password), asked);
    } catch (e) {
      setProblem(e as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Form<Fields> layout="vertical" onFinish={(f) => void submit(f)} initialValues={{ user: user ?? '' }} requiredMark={false}>
      {problem && <Alert type="error" showIcon title={problem.message} style={{ marginBottom: 16 }} role="alert" />}
      <Form.Item name="user" label={t('signin.user')} rules={[{ required: true, message: '' }]}>
        <Input autoFocus={!user} autoComplete="username" size="large" />
      </Form.Item>
      <Form.Item name="password" label={t('signin.password')} rules={[{ required: true, message: '' }]}>
        <Input.Password autoFocus={Boolean(user)} autoComplete="current-password" size="large" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={busy} block size="large">
        {t('signin.submit')}
      </Button>
    </Form>
  );
}

export function SignIn({ again, done }: { again: string | null; done: Done }) {
  const t = useText();
  if (again) {
    return (
      <Modal open title={t('signin.again')} footer={null} closable={false} mask={{ closable: false }} keyboard={false}>
        <Typography.Paragraph>{t('signin.again_hint')}</Typography.Paragraph>
        <SignInForm user={again} done={done} />
      </Modal>
    );
  }
  return (
    <main className="alone">
      <Card className="sign-in">
        <Flex vertical gap={20}>
          <Flex justify="space-between" align="center">
            <Mark />
            <LanguageMenu />
          </Flex>
          <Typography.Title level={1} style={{ fontSize: 22, margin: 0 }}>
            {t('signin.title')}
          </Typography.Title>
          <SignInForm user={null} done={done} />
          <Typography.Text type="secondary">{t('signin.first')}</Typography.Text>
        </Flex>
      </Card>
    </main>
  );
}
