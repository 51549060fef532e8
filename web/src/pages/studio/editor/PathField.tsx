// A file of a volume: VOLUME:path, typed or chosen.
import { FileOutlined, FolderOpenOutlined, FolderOutlined } from '@ant-design/icons';
import { Button, Flex, Input, Modal, Select, Space } from 'antd';
import { useState } from 'react';
import { decodeRaw, encodeName, joinRaw, parentOf, rawOf, shown } from '../../../api/files';
import { useTree, useVolumes } from '../../../api/volumes';
import { ErrorView } from '../../../components/ErrorView';
import { FilterBox } from '../../../components/FilterBox';
import { useParam } from '../../../components/useParam';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';

interface Props {
  id: string;
  project: string;
  value: string;
  placeholder?: string;
  disabled?: boolean;
  onChange: (value: string) => void;
}

function Folder({ project, volume, dir, go, choose }: { project: string; volume: string; dir: string; go: (dir: string) => void; choose: (raw: string) => void }) {
  const t = useText();
  const [q] = useParam('file');
  const tree = useTree({ project, volume }, dir, { from: '', q, sort: 'name', desc: false });
  if (tree.error) {
    return <ErrorView error={tree.error} retry={() => void tree.refetch()} />;
  }
  return (
    <ul className="plain chooser" aria-busy={tree.isPending}>
      {dir && (
        <li>
          <Button type="text" block icon={<FolderOpenOutlined />} onClick={() => go(parentOf(dir))}>
            ..
          </Button>
        </li>
      )}
      {tree.items.map((entry) => {
        const raw = joinRaw(dir, rawOf(entry));
        const isDir = entry.type === 'dir';
        return (
          <li key={raw}>
            <Button type="text" block icon={isDir ? <FolderOutlined /> : <FileOutlined />} onClick={() => (isDir ? go(raw) : choose(raw))}>
              <span className="grow ellipsis">{shown(rawOf(entry))}</span>
              {!isDir && <span className="secondary">{bytes(entry.size_bytes)}</span>}
            </Button>
          </li>
        );
      })}
      {tree.data && tree.items.length === 0 && <li className="secondary">{t('data.empty')}</li>}
      {tree.hasNextPage && (
        <li>
          <Button size="small" loading={tree.isFetchingNextPage} onClick={() => void tree.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </li>
      )}
    </ul>
  );
}

function Chooser({ project, start, choose, close }: { project: string; start: string; choose: (path: string) => void; close: () => void }) {
  const t = useText();
  const volumes = useVolumes(project);
  const [, setQ] = useParam('file');
  const [volume, setVolume] = useState(start.split(':')[0] ?? '');
  const [dir, setDir] = useState(start.includes(':') ? parentOf(start.slice(start.indexOf(':') + 1).split('/').map(encodeName).join('/')) : '');
  const here = volume || volumes.items[0]?.name;
  const go = (to: string) => {
    setQ('');
    setDir(to);
  };
  return (
    <Modal open title={t('studio.choose_file')} onCancel={close} footer={null}>
      <Flex vertical gap={12}>
        <Select
          aria-label={t('studio.volume')}
          value={here}
          placeholder={t('data.no_volumes')}
          onChange={(v) => {
            setVolume(v);
            go('');
          }}
          options={volumes.items.map((v) => ({ value: v.name, label: v.name }))}
        />
        <FilterBox name="file" label={t('studio.find_file')} />
        {here && <Folder project={project} volume={here} dir={dir} go={go} choose={(raw) => choose(`${here}:${decodeRaw(raw)}`)} />}
      </Flex>
    </Modal>
  );
}

export function PathField({ id, project, value, placeholder, disabled, onChange }: Props) {
  const t = useText();
  const [isOpen, setOpen] = useState(false);
  const [, setQ] = useParam('file');
  const close = () => {
    setQ('');
    setOpen(false);
  };
  return (
    <>
      <Space.Compact block>
        <Input id={id} value={value} disabled={disabled} placeholder={placeholder || 'volume:folder/file.csv'} onChange={(e) => onChange(e.target.value)} />
        <Button disabled={disabled} icon={<FolderOpenOutlined />} aria-label={t('studio.choose_file')} onClick={() => setOpen(true)} />
      </Space.Compact>
      {isOpen && (
        <Chooser
          project={project}
          start={value}
          close={close}
          choose={(path) => {
            onChange(path);
            close();
          }}
        />
      )}
    </>
  );
}
