// The files that changed in the job's writable volumes while an attempt ran: to be looked at, and fetched.
import { DownloadOutlined, FileOutlined, LinkOutlined, ReloadOutlined } from '@ant-design/icons';
import { Alert, Button, Empty, Flex, Select, Skeleton, Table } from 'antd';
import { Link } from 'react-router-dom';
import { lastOf, pageOf, parentOf, fileUrl, rawPath, shown } from '../../../api/files';
import { isFinished, jobUrl, useJobFiles } from '../../../api/jobs';
import type { Job, JobFile, JobFiles } from '../../../api/types';
import { AsCode } from '../../../components/AsCode';
import { ErrorView } from '../../../components/ErrorView';
import { bytes, dateTime } from '../../../components/format';
import { useLanguage, useText } from '../../../i18n';
import { previewQuery } from '../../data/here';
import { useParam } from '../params';

const FEW = 100;
const ALL = 1000; // as many as the server tells

const rawOf = (f: JobFile) => f.path_raw?.replace(/'/g, '%27') ?? rawPath(f.path);

function Place({ project, file }: { project: string; file: JobFile }) {
  const t = useText();
  const place = { project, volume: file.volume };
  const raw = rawOf(file);
  const folder = parentOf(raw);
  return (
    <div className="two-lines">
      <span className="ellipsis">
        {file.type === 'link' ? <LinkOutlined aria-label={t('data.type_link')} /> : <FileOutlined aria-hidden />}{' '}
        <Link to={pageOf(place, folder) + previewQuery(lastOf(raw))} title={shown(raw)}>
          <bdi>{shown(lastOf(raw))}</bdi>
        </Link>
      </span>
      <span className="secondary small ellipsis">
        <Link to={pageOf(place, folder)} className="quiet-link" title={t('jobs.files_folder')}>
          <bdi>{shown(folder ? `${file.volume}/${folder}` : file.volume)}</bdi>
        </Link>
      </span>
    </div>
  );
}

function Summary({ files, more }: { files: JobFiles; more: (() => void) | null }) {
  const t = useText();
  const all = files.found.toLocaleString();
  const gone = files.volumes.filter((v) => v.gone).map((v) => v.name);
  return (
    <>
      <Flex gap={8} align="center" wrap>
        <span role="status" className="secondary">
          {files.items.length < files.found || !files.complete
            ? t(files.complete ? 'jobs.files_newest' : 'jobs.files_more_than', { n: files.items.length.toLocaleString(), all })
            : t('jobs.files_count', { n: all })}
        </span>
        {more && (
          <Button size="small" onClick={more}>
            {t('action.more')}
          </Button>
        )}
      </Flex>
      {gone.length > 0 && <Alert type="warning" showIcon title={t('jobs.files_gone', { names: gone.join(', ') })} />}
    </>
  );
}

function Files({ job, files }: { job: Job; files: JobFiles }) {
  const { t, language } = useLanguage();
  return (
    <Table<JobFile>
      rowKey={(f) => `${f.volume}/${rawOf(f)}`}
      size="small"
      dataSource={files.items}
      pagination={false}
      virtual={files.items.length > 200}
      scroll={files.items.length > 200 ? { x: 320, y: 560 } : undefined}
      columns={[
        { title: t('data.name'), key: 'name', render: (_, f) => <Place project={job.project} file={f} /> },
        { title: t('data.size'), key: 'size', width: 100, align: 'right', render: (_, f) => <span className="nowrap">{bytes(f.size_bytes)}</span> },
        { title: t('jobs.files_changed'), key: 'changed', width: 230, responsive: ['md'], render: (_, f) => <time dateTime={f.changed_at}>{dateTime(f.changed_at, language)}</time> },
        {
          title: <span className="sr-only">{t('action.download')}</span>,
          key: 'download',
          width: 56,
          render: (_, f) =>
            f.type === 'file' && (
              <Button
                type="text"
                icon={<DownloadOutlined />}
                href={fileUrl({ project: job.project, volume: f.volume }, rawOf(f))}
                download
                aria-label={t('jobs.files_download', { name: shown(rawOf(f)) })}
              />
            ),
        },
      ]}
    />
  );
}

export default function FilesTab({ job }: { job: Job }) {
  const t = useText();
  const [attemptParam, setAttempt] = useParam('attempt');
  const [shownParam, setShown] = useParam('files');
  const attempt = Math.min(job.attempt, Math.max(1, Number(attemptParam) || job.attempt));
  const limit = shownParam === 'all' ? ALL : FEW;
  const running = !isFinished(job) && attempt === job.attempt;
  const query = useJobFiles(job.project, job.id, attempt, limit, running);
  const files = query.data;
  const hasMore = files && files.found > files.items.length && limit === FEW;
  return (
    <Flex vertical gap={12}>
      <Flex gap={8} align="center" wrap>
        {job.attempt > 1 && (
          <Select
            value={attempt}
            aria-label={t('jobs.attempt')}
            onChange={(n) => setAttempt(n === job.attempt ? '' : String(n))}
            options={Array.from({ length: job.attempt }, (_, i) => ({ value: i + 1, label: t('jobs.attempt_n', { n: i + 1 }) }))}
          />
        )}
        <span className="secondary grow">{t('jobs.files_what')}</span>
        <Button icon={<ReloadOutlined />} loading={query.isFetching} onClick={() => void query.refetch()}>
          {t('action.refresh')}
        </Button>
        <AsCode commands={[{ cli: `strata job files ${job.id} -p ${job.project}`, url: `${jobUrl(job.project, job.id)}/files?attempt=${attempt}` }]} />
      </Flex>
      {query.error && <ErrorView error={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton active title={false} paragraph={{ rows: 6 }} />}
      {files && (files.items.length > 0 || files.volumes.some((v) => v.gone)) && <Summary files={files} more={hasMore ? () => setShown('all') : null} />}
      {files && files.items.length > 0 && <Files job={job} files={files} />}
      {files && files.items.length === 0 && (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(files.volumes.length > 0 ? 'jobs.files_none' : 'jobs.files_no_volume')} />
      )}
    </Flex>
  );
}
