import { MoreOutlined } from '@ant-design/icons';
import { App, Button, Dropdown, Empty, Flex } from 'antd';
import { deleteRegistry, pingRegistry, useRegistries } from '../../api/replication';
import type { RemoteRegistry } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

function Actions({ registry, edit }: { registry: RemoteRegistry; edit: () => void }) {
  const t = useText();
  const confirm = useConfirm();
  const { message, modal } = App.useApp();
  const name = registry.name;
  const ping = async () => {
    const fail = (error: unknown) => modal.error({ icon: null, title: t('repl.ping'), content: <ErrorView error={error} />, okText: t('action.close') });
    try {
      const answer = await pingRegistry(name);
      if (answer.ok) {
        void message.success(t('repl.ping_ok', { name }));
      } else {
        fail(new Error(answer.error ?? ''));
      }
    } catch (error) {
      fail(error);
    }
  };
  const items = [
    { key: 'ping', label: t('repl.ping'), onClick: () => void ping() },
    { key: 'edit', label: t('repl.edit'), onClick: edit },
    { type: 'divider' as const },
    {
      key: 'delete',
      label: t('repl.delete'),
      danger: true,
      onClick: () =>
        confirm({
          title: t('repl.delete_registry_title', { name }),
          consequence: t('repl.delete_registry_hint'),
          ok: t('repl.delete'),
          run: () => deleteRegistry(name),
        }),
    },
  ];
  return (
    <Dropdown trigger={['click']} menu={{ items }}>
      <Button type="text" icon={<MoreOutlined />} aria-label={t('repl.actions', { name })} />
    </Dropdown>
  );
}

export function RegistriesTable({ edit }: { edit: (registry: RemoteRegistry) => void }) {
  const t = useText();
  const [q] = useParam('registries');
  const registries = useRegistries(q);
  if (registries.error) {
    return <ErrorView error={registries.error} retry={() => void registries.refetch()} />;
  }
  return (
    <Flex vertical gap={16}>
      <FilterBox label={t('repl.filter_registries')} name="registries" />
      <PagedTable<RemoteRegistry>
        rowKey="name"
        pages={registries}
        locale={{ emptyText: q ? t('list.none_fit') : <Empty description={t('repl.no_registries')} /> }}
        columns={[
          {
            title: t('repl.name'),
            dataIndex: 'name',
            render: (name: string, r) => (
              <>
                <strong className="break">{name}</strong>
                <div className="secondary break">{r.url}</div>
              </>
            ),
          },
          { title: t('repl.user'), dataIndex: 'user', responsive: ['md'], render: (user: string) => user || '–' },
          { title: t('admin.created'), dataIndex: 'created_at', width: 160, responsive: ['md'], render: (at: string) => <Ago at={at} /> },
          {
            title: <span className="sr-only">{t('repl.actions_head')}</span>,
            key: 'actions',
            width: 56,
            render: (_, r) => <Actions registry={r} edit={() => edit(r)} />,
          },
        ]}
      />
    </Flex>
  );
}
