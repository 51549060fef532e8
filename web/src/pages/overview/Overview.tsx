// What runs, waits, failed lately; what is free; what wants attention; and for an empty platform the first steps.
import { Card, Col, Empty, Flex, Progress, Row, Skeleton, Statistic, Steps, Typography } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { jobsUrl } from '../../api/jobs';
import { useHealth, useJobs, useNodes, useProjects, useQueue } from '../../api/queries';
import type { Job, Node } from '../../api/types';
import { NewProject, useProjectName } from '../../app/project';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { bytes, cpus } from '../../components/format';
import { JobStateTag } from '../../components/JobStateTag';
import { PageHead } from '../../components/PageHead';
import { Ago, Took } from '../../components/time';
import { useText, type Key } from '../../i18n';

const RUNNING = 'running,starting,queued';
const FAILED = 'failed,lost';
const SHORT = 8; // jobs of each kind

interface Amount {
  label: Key;
  free: number;
  all: number;
  show: (n: number) => string;
}

function amounts(nodes: Node[]): Amount[] {
  const sum = (of: (n: Node) => number) => nodes.reduce((s, n) => s + of(n), 0);
  return [
    { label: 'overview.cpu', free: sum((n) => n.cpu_milli_free), all: sum((n) => n.cpu_milli), show: cpus },
    { label: 'overview.memory', free: sum((n) => n.memory_bytes_free), all: sum((n) => n.memory_bytes), show: bytes },
    { label: 'overview.gpu', free: sum((n) => n.gpus_free), all: sum((n) => n.gpus), show: String },
  ];
}

function AmountRow({ amount, isLoading }: { amount: Amount; isLoading: boolean }) {
  const t = useText();
  const { label, free, all, show } = amount;
  return (
    <div className="amount">
      <Flex justify="space-between">
        <Typography.Text strong>{t(label)}</Typography.Text>
        <Typography.Text type="secondary">
          {isLoading ? '…' : all > 0 ? t('overview.of', { free: show(free), all: show(all) }) : t('overview.no_gpu')}
        </Typography.Text>
      </Flex>
      {all > 0 && <Progress percent={Math.round((100 * (all - free)) / all)} showInfo={false} aria-label={t(label)} size="small" />}
    </div>
  );
}

/** As high while it loads as after: what stands below stays where it is. */
function Machine() {
  const t = useText();
  const nodes = useNodes();
  if (nodes.error) {
    return <ErrorView error={nodes.error} retry={() => void nodes.refetch()} />;
  }
  return (
    <Card title={t('overview.free')}>
      {amounts(nodes.data?.items ?? []).map((a) => (
        <AmountRow key={a.label} amount={a} isLoading={!nodes.data} />
      ))}
    </Card>
  );
}

function QueueCard() {
  const t = useText();
  const queue = useQueue();
  return (
    <Card title={t('overview.queue')}>
      {queue.error ? (
        <ErrorView error={queue.error} />
      ) : (
        <Flex gap={40}>
          <Statistic title={t('overview.running')} value={queue.data?.running ?? '…'} />
          <Statistic title={t('overview.queued')} value={queue.data?.queued ?? '…'} />
        </Flex>
      )}
    </Card>
  );
}

function Attention() {
  const t = useText();
  const { me } = useSession();
  const health = useHealth(me.is_admin);
  const rows = (health.data?.items ?? []).filter((r) => r.level === 'warn' || r.level === 'fail');
  if (!me.is_admin) {
    return null;
  }
  return (
    <Card title={t('overview.attention')} loading={!health.data && !health.error}>
      {health.error ? (
        <ErrorView error={health.error} />
      ) : rows.length === 0 ? (
        <Typography.Text type="secondary">{t('overview.fine')}</Typography.Text>
      ) : (
        <ul className="plain">
          {rows.map((r) => (
            <li key={r.check}>
              <Typography.Text strong>{r.check}</Typography.Text>: {r.found}
              {r.mend && <div className="secondary">{r.mend}</div>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function JobRow({ job }: { job: Job }) {
  return (
    <li className="job-row">
      <JobStateTag state={job.state} />
      <Link to={`/p/${encodeURIComponent(job.project)}/jobs/${job.id}`} className="grow ellipsis">
        {job.name}
      </Link>
      <span className="secondary">
        {job.finished_at ? <Ago at={job.finished_at} /> : job.started_at ? <Took from={job.started_at} to={null} /> : <Ago at={job.created_at} />}
      </span>
    </li>
  );
}

function Jobs({ project, title, states, none }: { project: string; title: Key; states: string; none: Key }) {
  const t = useText();
  const jobs = useJobs(project, states, SHORT);
  return (
    <Card title={t(title)} extra={<Link to={`/p/${encodeURIComponent(project)}/jobs?state=${states}`}>{t('nav.jobs')}</Link>}>
      {jobs.error ? (
        <ErrorView error={jobs.error} retry={() => void jobs.refetch()} />
      ) : !jobs.data?.items.length ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(none)} />
      ) : (
        <ul className="plain">
          {jobs.data.items.map((j) => (
            <JobRow key={j.id} job={j} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function FirstSteps({ project }: { project: string | null }) {
  const t = useText();
  const [making, setMaking] = useState(false);
  const { may } = useSession();
  const step = (name: 'project' | 'data' | 'image' | 'job', to: string | null) => ({
    title: to ? <Link to={to}>{t(`overview.step_${name}`)}</Link> : t(`overview.step_${name}`),
    content: t(`overview.step_${name}_hint`),
  });
  const p = project && `/p/${encodeURIComponent(project)}`;
  const first = step('project', null);
  return (
    <Card title={t('overview.start')}>
      <Steps
        orientation="vertical"
        current={project ? 1 : 0}
        items={[
          project || !may('project:create')
            ? first
            : { ...first, title: <Typography.Link onClick={() => setMaking(true)}>{first.title}</Typography.Link> },
          step('data', p && `${p}/data`),
          step('image', p && `${p}/images`),
          step('job', p && `${p}/jobs/new`),
        ]}
      />
      <NewProject open={making} close={() => setMaking(false)} />
    </Card>
  );
}

export default function Overview() {
  const t = useText();
  const project = useProjectName();
  const projects = useProjects();
  const { may } = useSession();
  const shown = may('job:read', project) ? project : null;
  const any = useJobs(shown, '', 1);
  const isLoading = [any, useJobs(shown, RUNNING, SHORT), useJobs(shown, FAILED, SHORT)].some((q) => q.isLoading);
  const isEmpty = projects.data && (!project || (any.data && any.data.items.length === 0));
  return (
    <>
      <PageHead
        title={t('overview.title')}
        commands={[
          project ? { cli: `strata job list -p ${project}`, url: jobsUrl(project) } : { cli: 'strata project list', url: '/api/v1/projects' },
          { cli: 'strata node list', url: '/api/v1/nodes' },
        ]}
      />
      {projects.error && <ErrorView error={projects.error} retry={() => void projects.refetch()} />}
      <Row gutter={[16, 16]}>
        <Col xs={24} lg={16}>
          <Flex vertical gap={16}>
            {isLoading && <Skeleton active />}
            {isEmpty && <FirstSteps project={project} />}
            {shown && !isLoading && (
              <>
                <Jobs project={shown} title="overview.running_jobs" states={RUNNING} none="overview.none_running" />
                <Jobs project={shown} title="overview.failed_jobs" states={FAILED} none="overview.none_failed" />
              </>
            )}
          </Flex>
        </Col>
        <Col xs={24} lg={8}>
          <Flex vertical gap={16}>
            <Machine />
            <QueueCard />
            <Attention />
          </Flex>
        </Col>
      </Row>
    </>
  );
}
