// Choosing files or a folder to upload, and the place to drop them on.
import { UploadOutlined } from '@ant-design/icons';
import { Button, Dropdown } from 'antd';
import { useRef, useState, type DragEvent, type ReactNode } from 'react';
import { useText } from '../../i18n';
import { fromDrop, fromInput, type Dropped } from '../../uploads/dropped';

type Take = (what: Promise<Dropped> | Dropped) => void;

function Chooser({ ref, folder, take, label }: { ref: React.Ref<HTMLInputElement>; folder: boolean; take: Take; label: string }) {
  return (
    <input
      ref={ref}
      type="file"
      multiple
      hidden
      aria-label={label}
      data-upload={folder ? 'folder' : 'files'}
      {...(folder ? { webkitdirectory: '' } : {})}
      onChange={(e) => {
        if (e.target.files?.length) {
          take(fromInput(e.target.files));
        }
        e.target.value = ''; // the same can be chosen again
      }}
    />
  );
}

export function UploadMenu({ take }: { take: Take }) {
  const t = useText();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  return (
    <>
      <Dropdown
        trigger={['click']}
        autoFocus
        menu={{
          items: [
            { key: 'files', label: t('data.upload_files') },
            { key: 'folder', label: t('data.upload_folder') },
          ],
          onClick: ({ key }) => (key === 'files' ? files : folder).current?.click(),
        }}
      >
        <Button type="primary" icon={<UploadOutlined />}>
          {t('data.upload')}
        </Button>
      </Dropdown>
      <Chooser ref={files} folder={false} take={take} label={t('data.upload_files')} />
      <Chooser ref={folder} folder take={take} label={t('data.upload_folder')} />
    </>
  );
}

const hasFiles = (e: DragEvent) => e.dataTransfer.types.includes('Files');

export function DropZone({ name, take, children }: { name: string; take: Take | null; children: ReactNode }) {
  const t = useText();
  const [depth, setDepth] = useState(0); // enter and leave come for every element inside
  if (!take) {
    return <div className="browser">{children}</div>;
  }
  return (
    <div
      className="browser"
      onDragEnter={(e) => hasFiles(e) && setDepth(depth + 1)}
      onDragLeave={(e) => hasFiles(e) && setDepth(Math.max(0, depth - 1))}
      onDragOver={(e) => {
        if (hasFiles(e)) {
          e.preventDefault();
          e.dataTransfer.dropEffect = 'copy';
        }
      }}
      onDrop={(e) => {
        if (hasFiles(e)) {
          e.preventDefault();
          setDepth(0);
          take(fromDrop(e.dataTransfer));
        }
      }}
    >
      {children}
      {depth > 0 && <div className="drop-here">{t('data.drop_here', { name })}</div>}
    </div>
  );
}
