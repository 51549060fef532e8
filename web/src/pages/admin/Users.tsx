// Everybody who may sign in.
import { MoreOutlined, UserAddOutlined } from '@ant-design/icons';
import { Button, Dropdown, Input, Select, Table, Tag } from 'antd';
import { startTransition, useState } from 'react';
import { Link } from 'react-router-dom';
import { changeUser, deleteUser, useUsers } from '../../api/admin';
import type { User } from '../../api/types';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { UserDialog } from './UserDialogs';

function Actions({ user, reset }: { user: User; reset: () => void }) {
  const t = useText();
  const confirm = useConfirm();
  const { me } = useSession();
  const isMe = user.name === me.name;
  const name = user.name;
  const ask = (what: 'make_admin' | 'drop_admin' | 'disable' | 'enable' | 'delete', run: () => Promise<void>, danger = true) =>
    confirm({ title: t(`admin.${what}_title`, { name }), consequence: t(`admin.${what}_hint`), ok: t(`admin.${what}`), danger, run });
  const items = [
    { key: 'reset', label: t('admin.reset'), onClick: reset },
    user.is_admin
      ? { key: 'admin', label: t('admin.drop_admin'), disabled: isMe, onClick: () => ask('drop_admin', () => changeUser(name, { is_admin: false })) }
      : { key: 'admin', label: t('admin.make_admin'), onClick: () => ask('make_admin', () => changeUser(name, { is_admin: true }), false) },
    user.disabled
      ? { key: 'disabled', label: t('admin.enable'), onClick: () => ask('enable', () => changeUser(name, { disabled: false }), false) }
      : { key: 'disabled', label: t('admin.disable'), disabled: isMe, onClick: () => ask('disable', () => changeUser(name, { disabled: true })) },
    { type: 'divider' as const },
    { key: 'delete', label: t('admin.delete'), danger: true, disabled: isMe, onClick: () => ask('delete', () => deleteUser(name)) },
  ];
  return (
    <Dropdown trigger={['click']} menu={{ items }}>
      <Button type="text" icon={<MoreOutlined />} aria-label={t('admin.actions', { name })} />
    </Dropdown>
  );
}

function Kind({ user }: { user: User }) {
  const t = useText();
  return (
    <>
      {user.is_admin && <Tag className="state state-active">{t('admin.administrator')}</Tag>}
      {user.disabled && <Tag className="state state-waiting">{t('admin.disabled')}</Tag>}
    </>
  );
}

const KINDS: Record<string, (u: User) => boolean> = {
  '': () => true,
  admins: (u) => u.is_admin,
  disabled: (u) => u.disabled,
};

export default function Users() {
  const t = useText();
  const users = useUsers();
  const [q, setQ] = useParam('q');
  const [kind, setKind] = useParam('kind');
  const [page, setPage] = useParam('page', '1');
  const [dialog, setDialog] = useState<{ user: string | null } | null>(null);
  const rows = users.items.filter((u) => u.name.toLowerCase().includes(q.trim().toLowerCase()) && (KINDS[kind] ?? (() => true))(u));
  return (
    <>
      <PageHead
        title={t('admin.users')}
        commands={[
          { cli: 'strata user list', url: '/api/v1/users' },
          { cli: 'strata user create NAME < FILE', method: 'POST', url: '/api/v1/users', body: { name: 'NAME', password: 'PASSWORD' } },
          { cli: 'strata user set USER --disabled yes', method: 'PATCH', url: '/api/v1/users/USER', body: { disabled: true } },
        ]}
        actions={
          <Button type="primary" icon={<UserAddOutlined />} onClick={() => startTransition(() => setDialog({ user: null }))}>
            {t('admin.new_user')}
          </Button>
        }
      />
      <div className="filters">
        <Input.Search allowClear value={q} placeholder={t('admin.filter_name')} aria-label={t('admin.filter_name')} onChange={(e) => setQ(e.target.value)} />
        <Select
          value={kind}
          onChange={setKind}
          aria-label={t('admin.kind')}
          popupMatchSelectWidth={false}
          options={[
            { value: '', label: t('admin.kind_all') },
            { value: 'admins', label: t('admin.kind_admins') },
            { value: 'disabled', label: t('admin.kind_disabled') },
          ]}
        />
      </div>
      {users.error ? (
        <ErrorView error={users.error} retry={() => void users.refetch()} />
      ) : (
        <Table<User>
          rowKey="name"
          dataSource={rows}
          loading={users.isLoading}
          pagination={{ pageSize: 50, current: Number(page), onChange: (n) => setPage(String(n)), hideOnSinglePage: true, showSizeChanger: false }}
          columns={[
            {
              title: t('admin.name'),
              dataIndex: 'name',
              render: (name: string, u) => (
                <>
                  <strong className="break">{name}</strong> <Kind user={u} />
                </>
              ),
            },
            { title: t('admin.last_seen'), dataIndex: 'last_seen_at', width: 160, render: (at: string | null) => <Ago at={at} /> },
            { title: t('admin.created'), dataIndex: 'created_at', width: 160, responsive: ['md'], render: (at: string) => <Ago at={at} /> },
            {
              title: t('admin.trail'),
              key: 'audit',
              width: 140,
              responsive: ['md'],
              render: (_, u) => <Link to={`/admin/audit?user=${encodeURIComponent(u.name)}`}>{t('admin.what_done')}</Link>,
            },
            {
              title: <span className="sr-only">{t('admin.actions_head')}</span>,
              key: 'actions',
              width: 56,
              render: (_, u) => <Actions user={u} reset={() => setDialog({ user: u.name })} />,
            },
          ]}
        />
      )}
      {users.hasNextPage && (
        <Button onClick={() => void users.fetchNextPage()} loading={users.isFetchingNextPage}>
          {t('action.more')}
        </Button>
      )}
      {dialog && <UserDialog user={dialog.user} close={() => setDialog(null)} />}
    </>
  );
}
