// What is in a file, in a drawer with its own address: ?preview=NAME&as=text. Only the beginning of a file is read,
// and nothing of it is ever taken for HTML.
import { DownloadOutlined } from '@ant-design/icons';
import { useQuery as useData } from '@tanstack/react-query';
import { Button, Drawer, Empty, Segmented, Skeleton } from 'antd';
import { useMemo } from 'react';
import { useNavigate } from 'react-router-dom';
import { readBytes, type Bytes } from '../../../api/bytes';
import { ApiError } from '../../../api/client';
import { fileUrl, lastOf, pageOf, shown, type Place } from '../../../api/files';
import { AsCode } from '../../../components/AsCode';
import { ErrorView } from '../../../components/ErrorView';
import { quoteRaw } from '../../../components/shell';
import { bytes as size, dateTime } from '../../../components/format';
import { useLanguage, useText } from '../../../i18n';
import { useQuery } from '../here';
import { CsvView } from './CsvView';
import { ImageView } from './ImageView';
import { JsonView } from './JsonView';
import { hexLines, kindsOf, textOf, type Kind } from './sniff';
import { LinesView, TextView } from './TextView';

const FIRST = 256 * 1024;
const STRUCTURED = 1024 * 1024; // of CSV and JSON
const HEX = 256;

interface FileProps {
  place: Place;
  raw: string;
}

function useBytes({ place, raw }: FileProps, limit: number, enabled = true) {
  return useData<Bytes, ApiError>({
    queryKey: ['preview', place.project, place.volume, raw, limit],
    queryFn: ({ signal }) => readBytes(place, raw, limit, signal),
    enabled,
    staleTime: 0,
    gcTime: 10_000,
  });
}

/** CSV and JSON are read further than text is. */
function Structured({ kind, first, ...file }: FileProps & { kind: 'csv' | 'json'; first: Bytes }) {
  const more = useBytes(file, STRUCTURED, first.isCut);
  const data = first.isCut ? more.data : first;
  const text = useMemo(() => data && (textOf(data.bytes, data.isCut) ?? ''), [data]);
  if (more.error) {
    return <ErrorView error={more.error} retry={() => void more.refetch()} />;
  }
  if (!data || text === undefined) {
    return <Skeleton active />;
  }
  const name = shown(lastOf(file.raw));
  return kind === 'csv' ? <CsvView text={text} isCut={data.isCut} name={name} /> : <JsonView text={text} isCut={data.isCut} name={name} />;
}

function Content({ kind, first, text, ...file }: FileProps & { kind: Kind; first: Bytes; text: string | null }) {
  const t = useText();
  const name = shown(lastOf(file.raw));
  switch (kind) {
    case 'image':
      return <ImageView {...file} first={first} />;
    case 'csv':
    case 'json':
      return <Structured {...file} kind={kind} first={first} />;
    case 'text':
      return <TextView text={text ?? ''} name={name} />;
    case 'hex':
      return <LinesView lines={hexLines(first.bytes.subarray(0, HEX))} label={t('preview.content', { name })} />;
  }
}

function Loaded({ first, ...file }: FileProps & { first: Bytes }) {
  const { t, language } = useLanguage();
  const [query, setQuery] = useQuery();
  const text = useMemo(() => textOf(first.bytes, first.isCut), [first]);
  const kinds = kindsOf(shown(lastOf(file.raw)), first.bytes, text);
  const wanted = query.get('as') as Kind | null;
  const kind = wanted && kinds.includes(wanted) ? wanted : (kinds[0] ?? 'hex');
  const read = kind === 'hex' ? HEX : kind === 'text' ? FIRST : kind === 'image' ? Infinity : STRUCTURED;
  if (first.total === 0) {
    return <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('preview.empty')} />;
  }
  return (
    <>
      <div className="preview-head">
        <Segmented<Kind>
          aria-label={t('preview.as')}
          value={kind}
          options={kinds.map((k) => ({ value: k, label: t(`preview.as_${k}`) }))}
          onChange={(k) => setQuery({ as: k === kinds[0] ? null : k }, true)}
        />
        <span className="secondary">
          {[
            first.total > read ? t('preview.first', { size: size(read), all: size(first.total) }) : size(first.total),
            first.modified && dateTime(first.modified, language),
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
      </div>
      <Content {...file} kind={kind} first={first} text={text} />
    </>
  );
}

function Trouble({ error, retry, ...file }: FileProps & { error: ApiError; retry: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  if (error.status !== 404 && error.status !== 409) {
    return <ErrorView error={error} retry={retry} />;
  }
  return (
    <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(error.status === 404 ? 'preview.gone' : 'preview.special')}>
      {error.status === 409 && <Button onClick={() => navigate(pageOf(file.place, file.raw))}>{t('preview.open_folder')}</Button>}
    </Empty>
  );
}

export default function Preview(file: FileProps) {
  const t = useText();
  const [, setQuery] = useQuery();
  const first = useBytes(file, FIRST);
  const name = shown(lastOf(file.raw));
  return (
    <Drawer
      open
      size="min(960px, 100vw)"
      rootClassName="preview"
      title={<bdi className="preview-title">{name}</bdi>}
      aria-label={t('preview.title', { name })}
      onClose={() => setQuery({ preview: null, preview_raw: null, as: null, wrap: null })}
      extra={
        <>
          <AsCode commands={[{ cli: `strata data get ${quoteRaw(`${file.place.volume}/${file.raw}`)} - -p ${file.place.project}`, url: fileUrl(file.place, file.raw) }]} />
          <Button href={fileUrl(file.place, file.raw)} download icon={<DownloadOutlined />} aria-label={t('action.download')}>
            <span className="wide-only">{t('action.download')}</span>
          </Button>
        </>
      }
    >
      {first.error ? (
        <Trouble {...file} error={first.error} retry={() => void first.refetch()} />
      ) : first.data ? (
        <Loaded {...file} first={first.data} />
      ) : (
        <Skeleton active />
      )}
    </Drawer>
  );
}
