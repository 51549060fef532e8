// A new group; and one group with its users and its roles.
import { App, Button, Form, Input, Modal, Select, Skeleton, Tag, Typography } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { useUsers } from '../../api/admin';
import type { ApiError } from '../../api/client';
import { addToGroup, createGroup, removeFromGroup, useGroup } from '../../api/people';
import type { GroupShown } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { filterText } from '../../components/FilterBox';
import { useText } from '../../i18n';

export function NewGroup({ close, done }: { close: () => void; done: (name: string) => void }) {
  const t = useText();
  const [form] = Form.useForm<{ name: string; description: string }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const create = async (f: { name: string; description: string }) => {
    setBusy(true);
    setError(null);
    try {
      await createGroup({ name: f.name.trim(), description: f.description.trim() });
      close();
      done(f.name.trim());
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal open title={t('group.new')} okText={t('action.create')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" initialValues={{ name: '', description: '' }} onFinish={(f) => void create(f)}>
        <Form.Item name="name" label={t('admin.name')} rules={[{ required: true, whitespace: true, message: t('admin.name_rule') }]}>
          <Input autoFocus autoComplete="off" />
        </Form.Item>
        <Form.Item name="description" label={t('robot.description')}>
          <Input autoComplete="off" maxLength={200} />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

function Users({ group }: { group: GroupShown }) {
  const t = useText();
  const { message } = App.useApp();
  const [q, setQ] = useState('');
  const users = useUsers({ q, kind: '' });
  const inside = new Set(group.members);
  const run = (what: Promise<void>) => void what.catch((e: ApiError) => void message.error(e.message));
  return (
    <>
      <Select
        showSearch
        filterOption={false}
        onSearch={(text) => setQ(filterText(text))}
        className="wide"
        value={null}
        placeholder={t('group.add')}
        aria-label={t('group.add')}
        options={users.items.filter((u) => !inside.has(u.name)).map((u) => ({ value: u.name, label: u.name }))}
        onChange={(user: string | null) => user && run(addToGroup(group.name, user))}
      />
      <ul className="group-users" aria-label={t('admin.users')}>
        {group.members.map((user) => (
          <li key={user}>
            <span className="break">{user}</span>
            <Button type="text" size="small" danger aria-label={t('group.remove_user', { name: user })} onClick={() => run(removeFromGroup(group.name, user))}>
              {t('admin.remove')}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Roles({ group }: { group: GroupShown }) {
  const t = useText();
  return group.projects.length === 0 ? (
    <Typography.Text type="secondary">{t('group.no_roles')}</Typography.Text>
  ) : (
    <>
      {group.projects.map((p) => (
        <div key={p.name}>
          <Link to={`/p/${encodeURIComponent(p.name)}/settings`}>{p.name}</Link> <Tag>{t(`admin.role_${p.role}`)}</Tag>
        </div>
      ))}
    </>
  );
}

export function GroupDialog({ name, close }: { name: string; close: () => void }) {
  const t = useText();
  const group = useGroup(name);
  return (
    <Modal open title={t('group.title', { name })} onCancel={close} footer={<Button onClick={close}>{t('action.close')}</Button>}>
      {group.error ? (
        <ErrorView error={group.error} />
      ) : !group.data ? (
        <Skeleton active />
      ) : (
        <>
          {group.data.description && <Typography.Paragraph type="secondary">{group.data.description}</Typography.Paragraph>}
          <h2 className="card-h2">{t('admin.users')}</h2>
          <Users group={group.data} />
          <h2 className="card-h2">{t('group.roles')}</h2>
          <Roles group={group.data} />
        </>
      )}
    </Modal>
  );
}
