// Who works in a project, and as what.
import { DeleteOutlined } from '@ant-design/icons';
import { App, Button, Card, Form, Input, Select, Tag } from 'antd';
import { useState } from 'react';
import { removeMember, setMember, useMembers, type Member } from '../../api/admin';
import type { ApiError } from '../../api/client';
import type { Role } from '../../api/types';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

const ROLES = ['guest', 'developer', 'maintainer'] as const;

function useRoleOptions() {
  const t = useText();
  return ROLES.map((r) => ({ value: r as Role, label: t(`admin.role_${r}`) }));
}

function RoleSelect({ project, member }: { project: string; member: Member }) {
  const t = useText();
  const { message } = App.useApp();
  const options = useRoleOptions();
  const change = (role: Role) => setMember(project, member.user, role).catch((e: ApiError) => void message.error(e.message));
  return (
    <Select
      value={member.role}
      options={options}
      onChange={(r) => void change(r)}
      aria-label={t('admin.role_of', { name: member.user })}
      popupMatchSelectWidth={false}
      className="role-select"
    />
  );
}

function AddMember({ project }: { project: string }) {
  const t = useText();
  const options = useRoleOptions();
  const [form] = Form.useForm<{ user: string; role: Role }>();
  const [busy, setBusy] = useState(false);
  const add = async ({ user, role }: { user: string; role: Role }) => {
    setBusy(true);
    try {
      await setMember(project, user.trim(), role);
      form.resetFields();
    } catch (e) {
      form.setFields([{ name: 'user', errors: [(e as ApiError).message] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Form form={form} layout="inline" className="inline-form" initialValues={{ role: 'developer' }} onFinish={(v) => void add(v)}>
      <Form.Item name="user" rules={[{ required: true, message: t('admin.name_rule') }]}>
        <Input placeholder={t('admin.user_name')} aria-label={t('admin.user_name')} autoComplete="off" />
      </Form.Item>
      <Form.Item name="role">
        <Select options={options} aria-label={t('admin.role')} popupMatchSelectWidth={false} />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={busy}>
        {t('admin.add_member')}
      </Button>
    </Form>
  );
}

export function Members({ project }: { project: string }) {
  const t = useText();
  const { me, may, reload } = useSession();
  const [q] = useParam('member');
  const members = useMembers(project, q);
  const confirm = useConfirm();
  const mayManage = may('project:manage', project);
  const remove = (user: string) =>
    confirm({
      title: t('admin.remove_member', { name: user }),
      consequence: t(user === me.name ? 'admin.remove_me_hint' : 'admin.remove_member_hint', { project }),
      ok: t('admin.remove'),
      run: async () => {
        await removeMember(project, user);
        if (user === me.name) {
          await reload();
        }
      },
    });
  return (
    <Card title={t('admin.members')} className="flush">
      {mayManage && <AddMember project={project} />}
      {(members.items.length > 10 || q !== '') && (
        <div className="above-list">
          <FilterBox name="member" label={t('admin.filter_name')} />
        </div>
      )}
      {members.error ? (
        <ErrorView error={members.error} retry={() => void members.refetch()} />
      ) : (
        <PagedTable<Member>
          rowKey="user"
          size="small"
          pages={members}
          locale={{ emptyText: t('admin.no_members') }}
          columns={[
            { title: t('admin.name'), dataIndex: 'user', render: (u: string) => <span className="break">{u}</span> },
            {
              title: t('admin.role'),
              key: 'role',
              width: 150,
              render: (_, m) => (mayManage ? <RoleSelect project={project} member={m} /> : <Tag>{t(`admin.role_${m.role as 'guest'}`)}</Tag>),
            },
            ...(mayManage
              ? [
                  {
                    title: <span className="sr-only">{t('admin.actions_head')}</span>,
                    key: 'remove',
                    width: 50,
                    render: (_: unknown, m: Member) => (
                      <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('admin.remove_member', { name: m.user })} onClick={() => remove(m.user)} />
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
    </Card>
  );
}
