// One's own: who am I, where may I what, tokens, password, how the console looks.
import { App, Button, Card, Descriptions, Empty, Form, Input, Segmented, Select, Skeleton, Tag } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { changePassword, useTokens } from '../../api/admin';
import type { ApiError } from '../../api/client';
import type { Me } from '../../api/types';
import { useSession } from '../../app/session';
import { useAppearance, type Appearance } from '../../app/theme';
import { PageHead } from '../../components/PageHead';
import { LANGUAGES, useLanguage, useText, type Language } from '../../i18n';
import { en, type Key } from '../../i18n/en';
import { Tokens } from './Tokens';
import '../admin/admin.css';

function WhoAmI({ me }: { me: Me }) {
  const t = useText();
  const role = (r: string) => (`admin.role_${r}` in en ? t(`admin.role_${r}` as Key) : r);
  return (
    <Card title={t('account.who')}>
      <Descriptions
        column={1}
        size="small"
        items={[
          { key: 'name', label: t('admin.user_name'), children: <strong className="break">{me.name}</strong> },
          { key: 'admin', label: t('account.kind'), children: me.is_admin ? <Tag className="state state-active">{t('admin.administrator')}</Tag> : t('account.user') },
        ]}
      />
      <h2 className="card-h2">{t('account.projects')}</h2>
      {me.projects.length === 0 ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(me.is_admin ? 'account.admin_projects' : 'account.no_projects')} />
      ) : (
        <ul className="plain">
          {me.projects.map((p) => (
            <li key={p.name} className="job-row">
              <Link className="grow break" to={`/p/${encodeURIComponent(p.name)}/jobs`}>
                {p.name}
              </Link>
              <Tag>{role(p.role)}</Tag>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

interface PasswordFields {
  old: string;
  fresh: string;
  again: string;
}

function ChangePassword({ name }: { name: string }) {
  const t = useText();
  const { message } = App.useApp();
  const [form] = Form.useForm<PasswordFields>();
  const [busy, setBusy] = useState(false);
  const save = async ({ old, fresh }: PasswordFields) => {
    setBusy(true);
    try {
      await changePassword(old, fresh);
      form.resetFields();
      void message.success(t('account.password_changed'));
    } catch (e) {
      form.setFields([{ name: 'old', errors: [(e as ApiError).message] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={t('account.password')}>
      <Form form={form} layout="vertical" onFinish={(f) => void save(f)}>
        <input type="text" autoComplete="username" defaultValue={name} hidden readOnly />
        <Form.Item name="old" label={t('account.old')} rules={[{ required: true, message: t('account.old_rule') }]}>
          <Input.Password autoComplete="current-password" />
        </Form.Item>
        <Form.Item name="fresh" label={t('account.new')} rules={[{ required: true, min: 8, message: t('admin.password_rule') }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Form.Item
          name="again"
          label={t('account.again')}
          dependencies={['fresh']}
          rules={[
            ({ getFieldValue }) => ({
              validator: (_, v: string) => (v === getFieldValue('fresh') ? Promise.resolve() : Promise.reject(new Error(t('account.again_rule')))),
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Button type="primary" htmlType="submit" loading={busy}>
          {t('account.change')}
        </Button>
      </Form>
    </Card>
  );
}

function Looks() {
  const { language, setLanguage, t } = useLanguage();
  const { appearance, choose } = useAppearance();
  return (
    <Card title={t('account.looks')}>
      <div className="looks">
        <span id="looks-language">{t('language.title')}</span>
        <Select<Language>
          value={language}
          onChange={setLanguage}
          aria-labelledby="looks-language"
          options={LANGUAGES.map((l) => ({ value: l.code, label: <span lang={l.code}>{l.name}</span> }))}
        />
        <span id="looks-theme">{t('theme.title')}</span>
        <Segmented<Appearance>
          value={appearance}
          onChange={choose}
          aria-labelledby="looks-theme"
          options={(['light', 'dark', 'auto'] as const).map((k) => ({ value: k, label: t(`theme.${k}`) }))}
        />
      </div>
    </Card>
  );
}

export default function Account() {
  const t = useText();
  const { me } = useSession();
  const isLoading = useTokens().isLoading; // what comes above the rest would push it down
  return (
    <>
      <PageHead title={t('nav.account')} commands={[
          { cli: 'strata whoami', url: '/api/v1/me' },
          { cli: 'strata token list', url: '/api/v1/tokens' },
          { cli: 'strata token create NAME', method: 'POST', url: '/api/v1/tokens', body: { name: 'NAME', expires_in_seconds: 90 * 86400 } },
        ]} />
      {isLoading ? (
        <Skeleton active />
      ) : (
        <div className="stack">
          <Tokens />
          <div className="grid-2">
            <div className="stack">
              <WhoAmI me={me} />
              <Looks />
            </div>
            <ChangePassword name={me.name} />
          </div>
        </div>
      )}
    </>
  );
}
