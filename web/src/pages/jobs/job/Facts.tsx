// What a job asked for and used, what it is made of.
import { Card, Descriptions, Flex, Progress, Typography } from 'antd';
import type { ReactNode } from 'react';
import { Link } from 'react-router-dom';
import type { Job } from '../../../api/types';
import { bytes, cpus, duration } from '../../../components/format';
import { Ago, Took, useNow } from '../../../components/time';
import { isFinished } from '../../../api/jobs';
import { useText } from '../../../i18n';

function Used({ label, part, children }: { label: string; part: number | null; children: ReactNode }) {
  return (
    <div>
      <Flex justify="space-between" gap={8} wrap>
        <Typography.Text strong>{label}</Typography.Text>
        <span className="secondary">{children}</span>
      </Flex>
      {part !== null && (
        <Progress
          percent={Math.min(100, Math.round(part * 100))}
          showInfo={false}
          size="small"
          status={part >= 0.98 && label !== 'CPU' ? 'exception' : 'normal'}
          aria-label={label}
        />
      )}
    </div>
  );
}

/** Of the attempt that ran last. */
export function Resources({ job }: { job: Job }) {
  const t = useText();
  const now = useNow(3000, !isFinished(job));
  const ran = job.started_at ? (job.finished_at ? new Date(job.finished_at).getTime() : now) - new Date(job.started_at).getTime() : 0;
  const usedCpus = ran > 500 ? job.usage.cpu_usec / 1000 / ran : null;
  const peak = job.usage.memory_peak_bytes;
  return (
    <Card size="small" title={t('jobs.resources')}>
      <Flex vertical gap={12}>
        <Used label="CPU" part={usedCpus === null ? null : usedCpus / (job.cpu_milli / 1000)}>
          {usedCpus === null
            ? t('jobs.cpus', { n: cpus(job.cpu_milli) })
            : t('jobs.cpu_used', { used: usedCpus.toFixed(2), all: cpus(job.cpu_milli), time: duration(job.usage.cpu_usec / 1000) })}
        </Used>
        <Used label={t('overview.memory')} part={peak > 0 ? peak / job.memory_bytes : null}>
          {peak > 0 ? t('jobs.memory_used', { used: bytes(peak), all: bytes(job.memory_bytes) }) : bytes(job.memory_bytes)}
        </Used>
        <Used label="GPU" part={null}>
          {job.gpus > 0 ? job.gpus : t('jobs.gpu_none')}
        </Used>
      </Flex>
    </Card>
  );
}

/** The address of the page of an image of this registry. */
function imagePage(image: string): string {
  const name = image.replace(/[@:][^/]*$/, '');
  const slash = name.indexOf('/');
  return `/p/${encodeURIComponent(name.slice(0, slash))}/images/${name.slice(slash + 1)}`;
}

export function Facts({ job }: { job: Job }) {
  const t = useText();
  const spec = job.spec;
  const volumes = spec?.volumes ?? [];
  const items = [
    {
      key: 'id',
      label: t('jobs.id'),
      children: (
        <Typography.Text className="mono" copyable={{ text: job.id, tooltips: [t('action.copy'), t('action.copied')] }}>
          {job.id}
        </Typography.Text>
      ),
    },
    {
      key: 'image',
      label: t('jobs.image'),
      children: (
        <div className="anywhere">
          <Link to={imagePage(job.image)}>{job.image}</Link>
          <br />
          <Typography.Text className="mono secondary small" copyable={{ text: job.digest, tooltips: [t('action.copy'), t('action.copied')] }}>
            {job.digest.slice(0, 19)}…
          </Typography.Text>
        </div>
      ),
    },
    {
      key: 'command',
      label: t('jobs.command'),
      children: spec?.command || spec?.args ? <code className="anywhere">{[...(spec.command ?? []), ...(spec.args ?? [])].join(' ')}</code> : t('jobs.command_of_image'),
    },
    {
      key: 'volumes',
      label: t('search.volumes'),
      children:
        volumes.length === 0
          ? t('jobs.no_volumes')
          : volumes.map((v) => (
              <div key={v.path} className="anywhere">
                <Link to={`/p/${encodeURIComponent(job.project)}/data/${encodeURIComponent(v.name)}`}>{v.name}</Link> →{' '}
                <span className="mono">{v.path}</span> ({t(v.mode === 'rw' ? 'jobs.rw' : 'jobs.ro')})
              </div>
            )),
    },
    { key: 'user', label: t('jobs.user'), children: job.user },
    { key: 'created', label: t('jobs.created'), children: <Ago at={job.created_at} /> },
    {
      key: 'time',
      label: job.started_at ? t('jobs.ran') : t('jobs.waits'),
      children: <Took from={job.started_at ?? job.created_at} to={job.finished_at} />,
    },
    { key: 'network', label: t('jobs.network'), children: t(`jobs.network_${spec?.network ?? 'none'}`) },
    { key: 'timeout', label: t('jobs.timeout'), children: spec?.timeout ? String(spec.timeout) : t('jobs.no_timeout') },
    { key: 'retries', label: t('jobs.retries'), children: t('jobs.retries_of', { n: job.attempt - 1, all: job.retries }) },
  ];
  return (
    <Card size="small" title={t('jobs.about')}>
      <Descriptions size="small" column={1} items={items} styles={{ label: { width: 110 } }} />
    </Card>
  );
}
