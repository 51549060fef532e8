// A folder of a volume. Its path is the address; so are the name shown in the drawer and where the list begins.
import { DeleteOutlined, FolderAddOutlined } from '@ant-design/icons';
import { Alert, App, Button, Empty, Flex, Input, Skeleton, type MenuProps } from 'antd';
import { lazy, Suspense, useMemo, useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { useSession } from '../../app/session';
import { ApiError } from '../../api/client';
import { decodeRaw, dirUrl, fileUrl, joinRaw, lastOf, pageOf, rawOf, shown, treeUrl } from '../../api/files';
import type { Entry } from '../../api/types';
import { useTree, useVolume } from '../../api/volumes';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { PageHead, type Crumb } from '../../components/PageHead';
import { quoteRaw } from '../../components/shell';
import { useText } from '../../i18n';
import './data.css';
import { Entries } from './Entries';
import { previewed, previewQuery, useHere, useQuery, type Here } from './here';
import { NewFolder, Rename } from './NameDialogs';
import { DropZone, UploadMenu } from './UploadMenu';
import { useDeleteEntries } from './useDeleteEntries';
import { useUpload } from './useUpload';

const Preview = lazy(() => import('./preview/Preview'));

function useCrumbs({ place, raw }: Here): Crumb[] {
  const t = useText();
  const parts = raw ? raw.split('/') : [];
  return [
    { name: t('data.title'), to: pageOf(place).replace(/\/[^/]+$/, '') },
    { name: place.volume, to: raw ? pageOf(place) : undefined },
    ...parts.map((p, i) => ({ name: shown(p), to: i < parts.length - 1 ? pageOf(place, parts.slice(0, i + 1).join('/')) : undefined })),
  ];
}

function useMenu({ place, raw }: Here, mayWrite: boolean, rename: (e: Entry) => void, remove: (e: Entry[]) => void) {
  const t = useText();
  const navigate = useNavigate();
  const { message } = App.useApp();
  return (entry: Entry): MenuProps => {
    const path = joinRaw(raw, rawOf(entry));
    const isDir = entry.type === 'dir';
    const todo: Record<string, () => void> = {
      open: () => navigate(isDir ? pageOf(place, path) : pageOf(place, raw) + previewQuery(rawOf(entry))),
      copy: () => void navigator.clipboard?.writeText(decodeRaw(path)).then(() => message.success(t('action.copied'))),
      rename: () => rename(entry),
      delete: () => remove([entry]),
    };
    return {
      onClick: ({ key, domEvent }) => {
        const run = todo[key];
        if (run) {
          domEvent.preventDefault(); // else the Enter that chose "Delete" also presses the dialog's button
          run();
        }
      },
      items: [
        ...(entry.type === 'other' ? [] : [{ key: 'open', label: t(isDir ? 'data.open' : 'data.preview') }]),
        ...(isDir || entry.type === 'other'
          ? []
          : [{ key: 'download', label: <a href={fileUrl(place, path)} download>{t('action.download')}</a> }]),
        { key: 'copy', label: t('data.copy_path') },
        ...(mayWrite
          ? [
              { key: 'rename', label: t('data.rename') },
              { type: 'divider' as const },
              { key: 'delete', label: t('action.delete'), danger: true },
            ]
          : []),
      ],
    };
  };
}

/** What can go wrong with an address: it may name a file, or nothing. */
function Trouble({ here, error, retry }: { here: Here; error: ApiError; retry: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const { place, raw } = here;
  if (raw && (error.status === 409 || error.status === 404)) {
    const isFile = error.status === 409;
    const parent = raw.includes('/') ? raw.slice(0, raw.lastIndexOf('/')) : '';
    return (
      <Empty className="big-empty" image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(isFile ? 'data.not_folder' : 'data.gone')}>
        {!isFile && <p className="secondary">{t('data.gone_hint')}</p>}
        <Button onClick={() => navigate(isFile ? pageOf(place, parent) + previewQuery(lastOf(raw)) : pageOf(place))}>
          {t(isFile ? 'data.show_file' : 'data.to_volume')}
        </Button>
      </Empty>
    );
  }
  return <ErrorView error={error} retry={retry} />;
}

function Tools({ from, jump, shownNow }: { from: string; jump: (name: string | null) => void; shownNow: string }) {
  const t = useText();
  return (
    <Flex gap={8} align="center" wrap className="browser-tools">
      <Input.Search
        key={from}
        className="jump"
        allowClear
        defaultValue={from}
        placeholder={t('data.jump')}
        aria-label={t('data.jump_hint')}
        onSearch={(name) => jump(name || null)}
      />
      {from && <span className="secondary">{t('data.jump_active', { name: from })}</span>}
      <span className="secondary grow" role="status">
        {shownNow}
      </span>
    </Flex>
  );
}

export default function Browser() {
  const t = useText();
  const here = useHere();
  const { place, raw } = here;
  const [query, setQuery] = useQuery();
  const from = query.get('from') ?? '';
  const { may } = useSession();
  const mayWrite = may('volume:write', place.project);
  const volume = useVolume(place);
  const tree = useTree(place, raw, from);
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const [making, setMaking] = useState(false);
  const [renaming, setRenaming] = useState<Entry | null>(null);
  const askDelete = useDeleteEntries(place, raw);
  const remove = (entries: Entry[]) => askDelete(entries, () => select(new Set()));
  const upload = useUpload(place, raw);
  const menu = useMenu(here, mayWrite, setRenaming, remove);
  const crumbs = useCrumbs(here);
  const chosen = useMemo(() => tree.items.filter((e) => selected.has(rawOf(e))), [tree.items, selected]);
  const name = raw ? shown(lastOf(raw)) : place.volume;
  const preview = previewed(query);
  const shell = (name: string) => quoteRaw([place.volume, raw, name].filter(Boolean).join('/'));
  const v = volume.data;
  const isEmpty = tree.isSuccess && tree.items.length === 0;
  return (
    <DropZone name={name} take={mayWrite ? (d) => void upload(d) : null}>
      <PageHead
        title={name}
        crumbs={crumbs}
        extra={
          !raw && v && v.files !== null && v.size_bytes !== null ? (
            <span className="secondary">{t('data.summary', { files: v.files.toLocaleString(), size: bytes(v.size_bytes) })}</span>
          ) : undefined
        }
        commands={[
          { cli: `strata data list ${shell('')} -p ${place.project}`, url: treeUrl(place, raw) },
          ...(mayWrite
            ? [
                { cli: `strata data put FILE ${shell('FILE')} -p ${place.project}`, method: 'PUT', url: fileUrl(place, joinRaw(raw, 'FILE')), file: 'FILE' },
                { cli: `strata data mkdir ${shell('NAME')} -p ${place.project}`, method: 'POST', url: dirUrl(place, joinRaw(raw, 'NAME')) },
              ]
            : []),
        ]}
        actions={
          mayWrite &&
          !tree.error && (
            <>
              <Button icon={<FolderAddOutlined />} onClick={() => setMaking(true)}>
                {t('data.new_folder')}
              </Button>
              <UploadMenu take={(d) => void upload(d)} />
            </>
          )
        }
      />
      {tree.error && <Trouble here={here} error={tree.error} retry={() => void tree.refetch()} />}
      {tree.isPending && <Skeleton active title={false} paragraph={{ rows: 8 }} />}
      {tree.changed && (
        <Alert type="info" showIcon className="changed" title={t('data.changed')} action={<Button size="small" onClick={tree.reread}>{t('action.refresh')}</Button>} />
      )}
      {isEmpty && !from && (
        <Empty className="big-empty" image={Empty.PRESENTED_IMAGE_SIMPLE} description={<b>{t('data.empty')}</b>}>
          {mayWrite && <p className="secondary">{t('data.empty_write')}</p>}
        </Empty>
      )}
      {!isEmpty && chosen.length > 0 ? (
        <Flex gap={8} align="center" wrap className="browser-tools">
          <b role="status">{t('data.selected', { n: chosen.length })}</b>
          <Button danger icon={<DeleteOutlined />} onClick={() => remove(chosen)}>
            {t('action.delete')}
          </Button>
          <Button type="text" onClick={() => select(new Set())}>
            {t('data.clear_selection')}
          </Button>
        </Flex>
      ) : (
        (tree.hasNextPage || tree.items.length > 20 || from) && (
          <Tools
            from={from}
            jump={(n) => setQuery({ from: n })}
            shownNow={isEmpty ? t('data.jump_none', { name: from }) : t(tree.hasNextPage ? 'data.loaded_more' : 'data.loaded', { n: tree.items.length.toLocaleString() })}
          />
        )
      )}
      {tree.items.length > 0 && (
        <Entries
          place={place}
          raw={raw}
          label={t('data.entries', { name })}
          items={tree.items}
          hasMore={tree.hasNextPage}
          more={() => tree.hasNextPage && !tree.isFetching && void tree.fetchNextPage()}
          selected={mayWrite ? selected : null}
          select={select}
          menu={menu}
        />
      )}
      <NewFolder place={place} raw={raw} open={making} close={() => setMaking(false)} />
      {renaming && <Rename place={place} raw={raw} entry={renaming} close={() => setRenaming(null)} />}
      <Suspense fallback={null}>{preview && <Preview key={preview} place={place} raw={joinRaw(raw, preview)} />}</Suspense>
    </DropZone>
  );
}
