// A name with the icon of what it is. Names are data: shown as text, with what they hide made visible.
import {
  CodeOutlined,
  FileImageOutlined,
  FileOutlined,
  FileTextOutlined,
  FileZipOutlined,
  FolderFilled,
  LinkOutlined,
  QuestionOutlined,
  TableOutlined,
} from '@ant-design/icons';
import type { ReactNode } from 'react';
import { rawOf, shown } from '../../api/files';
import type { Entry } from '../../api/types';
import { useText } from '../../i18n';

const ICONS: [RegExp, ReactNode][] = [
  [/\.(png|jpe?g|gif|webp|svg|bmp|tiff?)$/i, <FileImageOutlined />],
  [/\.(csv|tsv|parquet|xlsx?)$/i, <TableOutlined />],
  [/\.(zip|gz|tgz|tar|xz|zst|bz2|7z)$/i, <FileZipOutlined />],
  [/\.(py|js|ts|c|h|cpp|sh|json|ya?ml|toml|ipynb|html?|css|sql)$/i, <CodeOutlined />],
  [/\.(txt|md|log|out|err|rst)$/i, <FileTextOutlined />],
];

export function EntryIcon({ entry }: { entry: Entry }) {
  const t = useText();
  const icon =
    entry.type === 'dir' ? (
      <FolderFilled className="folder-icon" />
    ) : entry.type === 'link' ? (
      <LinkOutlined />
    ) : entry.type === 'other' ? (
      <QuestionOutlined />
    ) : (
      (ICONS.find(([suffix]) => suffix.test(entry.name))?.[1] ?? <FileOutlined />)
    );
  return (
    <span className="entry-icon" role="img" aria-label={t(`data.type_${entry.type}`)} title={t(`data.type_${entry.type}`)}>
      {icon}
    </span>
  );
}

export const shownName = (entry: Entry) => shown(rawOf(entry));

export function NameText({ entry }: { entry: Entry }) {
  const t = useText();
  const name = shownName(entry);
  return (
    <bdi className="name-text" title={entry.name_raw ? t('data.bytes_name', { raw: entry.name_raw }) : name}>
      {name}
    </bdi>
  );
}
