// The volumes of a project.
import { DatabaseOutlined, DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Empty, Table, type TableColumnsType } from 'antd';
import { startTransition, useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import { useSession } from '../../app/session';
import { pageOf, volumesUrl } from '../../api/files';
import type { Volume } from '../../api/types';
import { useVolumes } from '../../api/volumes';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useText } from '../../i18n';
import './data.css';
import { NewVolume } from './NewVolume';
import { useDeleteVolume } from './useDeleteVolume';

function useColumns(project: string): TableColumnsType<Volume> {
  const t = useText();
  const { may } = useSession();
  const remove = useDeleteVolume(project);
  return [
    {
      title: t('data.name'),
      key: 'name',
      render: (_, v) => (
        <Link to={pageOf({ project, volume: v.name })} className="entry-name">
          <DatabaseOutlined /> <span className="volume-name">{v.name}</span>
        </Link>
      ),
    },
    { title: t('data.files'), key: 'files', align: 'right', render: (_, v) => v.files?.toLocaleString() ?? t('data.counting') },
    {
      title: t('data.size'),
      key: 'size',
      align: 'right',
      render: (_, v) => (v.size_bytes === null ? t('data.counting') : <span className="nowrap">{bytes(v.size_bytes)}</span>),
    },
    { title: t('data.created'), key: 'created', responsive: ['md'], render: (_, v) => <Ago at={v.created_at} /> },
    ...(may('volume:manage', project)
      ? [
          {
            title: <span className="unseen">{t('data.actions')}</span>,
            key: 'actions',
            width: 56,
            render: (_: unknown, v: Volume) => (
              <Button type="text" icon={<DeleteOutlined />} aria-label={t('data.delete_volume', { name: v.name })} onClick={() => remove(v)} />
            ),
          },
        ]
      : []),
  ];
}

export default function Volumes() {
  const t = useText();
  const { project = '' } = useParams();
  const { may } = useSession();
  const volumes = useVolumes(project);
  const columns = useColumns(project);
  const [making, setMaking] = useState(false);
  const mayMake = may('volume:manage', project);
  const make = mayMake && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => startTransition(() => setMaking(true))}>
      {t('data.new_volume')}
    </Button>
  );
  const isEmpty = volumes.isSuccess && volumes.items.length === 0;
  return (
    <>
      <PageHead
        title={t('data.title')}
        actions={!isEmpty && make}
        commands={[
          { cli: `strata volume list -p ${project}`, url: volumesUrl(project) },
          { cli: `strata volume create NAME -p ${project}`, method: 'POST', url: volumesUrl(project), body: { name: 'NAME' } },
        ]}
      />
      {volumes.error && <ErrorView error={volumes.error} retry={() => void volumes.refetch()} />}
      {isEmpty ? (
        <Empty className="big-empty" image={Empty.PRESENTED_IMAGE_SIMPLE} description={<b>{t('data.no_volumes')}</b>}>
          <p className="secondary narrow-text">{mayMake ? t('data.no_volumes_hint') : t('data.no_volumes_guest')}</p>
          {make}
        </Empty>
      ) : (
        !volumes.error && (
          <Table<Volume> rowKey="id" columns={columns} dataSource={volumes.items} loading={volumes.isPending} pagination={false} size="middle" />
        )
      )}
      {volumes.hasNextPage && (
        <Button className="load-more" loading={volumes.isFetchingNextPage} onClick={() => void volumes.fetchNextPage()}>
          {t('action.more')}
        </Button>
      )}
      <NewVolume project={project} open={making} close={() => setMaking(false)} />
    </>
  );
}
