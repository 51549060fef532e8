// Groups of users: made here, given roles in the settings of projects.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { deleteGroup, useGroups } from '../../api/people';
import type { Group } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { GroupDialog, NewGroup } from './GroupDialogs';

export default function Groups() {
  const t = useText();
  const [q] = useParam('q');
  const groups = useGroups(q);
  const confirm = useConfirm();
  const [shown, setShown] = useParam('group');
  const [making, setMaking] = useState(false);
  const remove = (name: string) =>
    confirm({ title: t('group.delete_title', { name }), consequence: t('group.delete_hint'), ok: t('group.delete'), run: () => deleteGroup(name) });
  return (
    <>
      <PageHead
        title={t('group.groups')}
        commands={[
          { cli: 'strata group list', url: '/api/v1/groups' },
          { cli: 'strata group create NAME', method: 'POST', url: '/api/v1/groups', body: { name: 'NAME' } },
          { cli: 'strata group add GROUP USER', method: 'PUT', url: '/api/v1/groups/GROUP/members/USER' },
        ]}
        actions={
          <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking(true)}>
            {t('group.new')}
          </Button>
        }
      />
      <div className="filters">
        <FilterBox label={t('admin.filter_name')} />
      </div>
      {groups.error ? (
        <ErrorView error={groups.error} retry={() => void groups.refetch()} />
      ) : (
        <PagedTable<Group>
          rowKey="name"
          pages={groups}
          locale={{ emptyText: t('group.none') }}
          columns={[
            {
              title: t('admin.name'),
              dataIndex: 'name',
              render: (name: string, g) => (
                <>
                  <Button type="link" className="break row-link" onClick={() => setShown(name)}>
                    {name}
                  </Button>
                  {g.description && <div className="secondary break">{g.description}</div>}
                </>
              ),
            },
            { title: t('admin.users'), dataIndex: 'users', width: 110 },
            { title: t('admin.created'), dataIndex: 'created_at', width: 160, responsive: ['md'], render: (at: string) => <Ago at={at} /> },
            {
              title: <span className="sr-only">{t('admin.actions_head')}</span>,
              key: 'delete',
              width: 56,
              render: (_, g) => <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('group.delete_title', { name: g.name })} onClick={() => remove(g.name)} />,
            },
          ]}
        />
      )}
      {making && <NewGroup close={() => setMaking(false)} done={setShown} />}
      {shown !== '' && <GroupDialog name={shown} close={() => setShown('')} />}
    </>
  );
}
