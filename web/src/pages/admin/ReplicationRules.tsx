import { MoreOutlined, PlayCircleOutlined } from '@ant-design/icons';
import { App, Button, Dropdown, Empty, Flex, Space, Tag } from 'antd';
import { deleteRule, runRule, useRules } from '../../api/replication';
import type { ReplicationRule } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

function Actions({ rule, edit, ran }: { rule: ReplicationRule; edit: () => void; ran: () => void }) {
  const t = useText();
  const confirm = useConfirm();
  const { message, modal } = App.useApp();
  const name = rule.name;
  const run = async () => {
    try {
      await runRule(name);
      void message.success(t('repl.started', { name }));
      ran();
    } catch (error) {
      modal.error({ icon: null, title: t('repl.run'), content: <ErrorView error={error} />, okText: t('action.close') });
    }
  };
  const items = [
    { key: 'edit', label: t('repl.edit'), onClick: edit },
    { type: 'divider' as const },
    {
      key: 'delete',
      label: t('repl.delete'),
      danger: true,
      onClick: () =>
        confirm({ title: t('repl.delete_rule_title', { name }), consequence: t('repl.delete_rule_hint'), ok: t('repl.delete'), run: () => deleteRule(name) }),
    },
  ];
  return (
    <Space>
      <Button icon={<PlayCircleOutlined />} disabled={!rule.enabled} onClick={() => void run()} aria-label={`${t('repl.run')}: ${name}`} />
      <Dropdown trigger={['click']} menu={{ items }}>
        <Button type="text" icon={<MoreOutlined />} aria-label={t('repl.actions', { name })} />
      </Dropdown>
    </Space>
  );
}

export function RulesTable({ edit, ran }: { edit: (rule: ReplicationRule) => void; ran: () => void }) {
  const t = useText();
  const [q] = useParam('q');
  const rules = useRules(q);
  if (rules.error) {
    return <ErrorView error={rules.error} retry={() => void rules.refetch()} />;
  }
  return (
    <Flex vertical gap={16}>
      <FilterBox label={t('repl.filter_rules')} />
      <PagedTable<ReplicationRule>
        rowKey="name"
        pages={rules}
        locale={{ emptyText: q ? t('list.none_fit') : <Empty description={t('repl.no_rules')} /> }}
        columns={[
          {
            title: t('repl.name'),
            dataIndex: 'name',
            render: (name: string, r) => (
              <>
                <strong className="break">{name}</strong> {!r.enabled && <Tag className="state state-waiting">{t('repl.disabled')}</Tag>}
                <div className="secondary">{t(`repl.${r.direction}`, { name: r.registry })}</div>
              </>
            ),
          },
          {
            title: t('repl.what'),
            key: 'what',
            responsive: ['sm'],
            render: (_, r) => (
              <>
                <code className="break">
                  {r.repositories}:{r.tags}
                </code>
                {r.destination && <div className="secondary break">→ {r.destination}</div>}
              </>
            ),
          },
          {
            title: t('repl.trigger'),
            key: 'trigger',
            responsive: ['md'],
            render: (_, r) => (
              <>
                {t(`repl.trigger_${r.trigger}`)}
                {r.schedule && (
                  <div className="secondary">
                    <code>{r.schedule}</code> {r.next_run_at && <Ago at={r.next_run_at} />}
                  </div>
                )}
              </>
            ),
          },
          {
            title: <span className="sr-only">{t('repl.actions_head')}</span>,
            key: 'actions',
            width: 110,
            render: (_, r) => <Actions rule={r} edit={() => edit(r)} ran={ran} />,
          },
        ]}
      />
    </Flex>
  );
}
