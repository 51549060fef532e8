// What was deleted of a project's images, as long as it can be had again.
import { DeleteOutlined, UndoOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useParams } from 'react-router-dom';
import type { ApiError } from '../../api/client';
import { path } from '../../api/client';
import { queryClient } from '../../api/queries';
import { dropTrash, emptyTrash, restoreTrash, useTrash } from '../../api/registry';
import type { TrashItem } from '../../api/types';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

const refresh = (project: string) => queryClient.invalidateQueries({ queryKey: ['images', project] });
const nameOf = (item: TrashItem) => item.repository + (item.tag ? `:${item.tag}` : '');

function Actions({ project, item }: { project: string; item: TrashItem }) {
  const t = useText();
  const confirm = useConfirm();
  const { message } = App.useApp();
  const { may } = useSession();
  const name = nameOf(item);
  const restore = async () => {
    try {
      const back = await restoreTrash(project, item.id);
      if (back.missing) {
        void message.warning(t('images.restored_missing', { name, missing: back.missing }));
      } else {
        void message.success(t(back.kept ? 'images.restored_but' : 'images.restored', { name, kept: back.kept }));
      }
      await refresh(project);
    } catch (e) {
      void message.error((e as ApiError).message);
    }
  };
  const drop = () =>
    confirm({
      title: t('images.trash_drop', { name }),
      consequence: t('images.trash_drop_hint'),
      ok: t('action.delete'),
      run: async () => {
        await dropTrash(project, item.id);
        await refresh(project);
      },
    });
  return (
    <span className="nowrap">
      {may('image:push', project) && (
        <Button type="text" icon={<UndoOutlined />} aria-label={t('images.restore', { name })} title={t('images.restore', { name })} onClick={() => void restore()} />
      )}
      <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('images.trash_drop', { name })} title={t('images.trash_drop', { name })} onClick={drop} />
    </span>
  );
}

export default function Trash() {
  const t = useText();
  const project = useParams().project ?? '';
  const confirm = useConfirm();
  const [q] = useParam('q');
  const trash = useTrash(project, q);
  const empty = () =>
    confirm({
      title: t('images.trash_empty'),
      consequence: t('images.trash_drop_hint'),
      ok: t('images.trash_empty'),
      run: async () => {
        await emptyTrash(project);
        await refresh(project);
      },
    });
  return (
    <>
      <PageHead
        title={t('images.trash')}
        crumbs={[{ name: t('images.title'), to: `/p/${encodeURIComponent(project)}/images` }, { name: t('images.trash') }]}
        commands={[
          { cli: `strata trash list -p ${project}`, url: path`/api/v1/projects/${project}/trash` },
          { cli: `strata trash empty -p ${project}`, method: 'DELETE', url: path`/api/v1/projects/${project}/trash` },
        ]}
        actions={
          trash.items.length > 0 && (
            <Button danger icon={<DeleteOutlined />} onClick={empty}>
              {t('images.trash_empty')}
            </Button>
          )
        }
      />
      <div className="filters">
        <FilterBox label={t('images.filter')} />
      </div>
      {trash.error ? (
        <ErrorView error={trash.error} retry={() => void trash.refetch()} />
      ) : (
        <PagedTable<TrashItem>
          rowKey="id"
          pages={trash}
          locale={{ emptyText: t(q ? 'list.none_fit' : 'images.trash_none') }}
          columns={[
            {
              title: t('images.trash_what'),
              key: 'name',
              render: (_, i) => (
                <>
                  {nameOf(i)}
                  <div className="secondary narrow-line">{t('images.summary', { tags: i.tags, size: bytes(i.size_bytes) })}</div>
                </>
              ),
            },
            { title: t('images.size'), dataIndex: 'size_bytes', align: 'right', width: 120, responsive: ['md'], render: bytes },
            { title: t('images.deleted_by'), dataIndex: 'deleted_by', width: 140, responsive: ['md'] },
            { title: t('images.deleted'), dataIndex: 'deleted_at', width: 150, render: (at: string) => <Ago at={at} /> },
            { title: <span className="sr-only">{t('action.delete')}</span>, key: 'actions', width: 96, render: (_, i) => <Actions project={project} item={i} /> },
          ]}
        />
      )}
    </>
  );
}
