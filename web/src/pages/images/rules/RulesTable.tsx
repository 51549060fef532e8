// Rules as rows: what each is about, and for those who may, changing and deleting it.
import { Empty, Table } from 'antd';
import type { ReactNode } from 'react';
import { changePolicy } from '../../../api/imageRules';
import type { ImagePolicy } from '../../../api/types';
import { useConfirm } from '../../../components/confirm';
import { RowMenu } from '../../../components/RowMenu';
import { useText } from '../../../i18n';

interface Rule {
  id?: number;
  repositories?: string;
  tags?: string;
}

interface Props<T> {
  project: string;
  rules: T[];
  empty: string;
  keeps?: (rule: T) => ReactNode; // retention: what stays
  without: (policy: ImagePolicy, id: number | undefined) => ImagePolicy;
  edit: ((rule: T) => void) | null; // null: he may not
}

export function RulesTable<T extends Rule>({ project, rules, empty, keeps, without, edit }: Props<T>) {
  const t = useText();
  const confirm = useConfirm();
  const menu = (rule: T) => ({
    items: [
      { key: 'edit', label: t('repl.edit'), onClick: () => edit?.(rule) },
      { type: 'divider' as const },
      {
        key: 'delete',
        label: t('repl.delete'),
        danger: true,
        onClick: () =>
          confirm({
            title: t('rules.delete_title', { id: rule.id ?? '' }),
            consequence: t('rules.delete_hint'),
            ok: t('repl.delete'),
            run: () => changePolicy(project, (p) => without(p, rule.id)),
          }),
      },
    ],
  });
  return (
    <Table<T>
      rowKey={(r) => String(r.id)}
      size="middle"
      dataSource={rules}
      pagination={false}
      locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={empty} /> }}
      columns={[
        { title: t('rules.rule'), dataIndex: 'id', width: 70 },
        {
          title: t('rules.about'),
          key: 'about',
          render: (_, r) => (
            <>
              <code className="break">
                {r.repositories}:{r.tags}
              </code>
              {keeps && <div className="secondary narrow-line">{keeps(r)}</div>}
            </>
          ),
        },
        ...(keeps ? [{ title: t('rules.keep'), key: 'keep', responsive: ['md' as const], render: (_: unknown, r: T) => keeps(r) }] : []),
        ...(edit
          ? [
              {
                title: <span className="sr-only">{t('repl.actions_head')}</span>,
                key: 'actions',
                width: 56,
                render: (_: unknown, r: T) => <RowMenu label={t('repl.actions', { name: `${t('rules.rule')} ${r.id}` })} menu={() => menu(r)} />,
              },
            ]
          : []),
      ]}
    />
  );
}
