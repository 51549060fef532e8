// A job: how it goes or ended, its log, its spec, its history.
import { Flex, Skeleton, Tabs } from 'antd';
import { lazy, Suspense } from 'react';
import { useParams } from 'react-router-dom';
import { isFinished, jobUrl, useJob } from '../../api/jobs';
import type { Job } from '../../api/types';
import { Missing } from '../../app/NotFound';
import { ErrorView } from '../../components/ErrorView';
import { JobStateTag } from '../../components/JobStateTag';
import { LinkButton } from '../../components/LinkButton';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';
import { Actions } from './job/Actions';
import { Ending } from './job/Ending';
import { EventsTab } from './job/EventsTab';
import { Facts, Resources } from './job/Facts';
import { Timeline } from './job/Timeline';
import { UsageCharts } from './job/UsageCharts';
import './jobs.css';
import { useParam } from './params';

const LogView = lazy(() => import('./log/LogView').then((m) => ({ default: m.LogView })));
const SpecTab = lazy(() => import('./job/SpecTab'));

function Overview({ job }: { job: Job }) {
  return (
    <Flex vertical gap={16}>
      <Ending job={job} />
      <Timeline job={job} />
      <div className="two-columns">
        <Facts job={job} />
        <Flex vertical gap={16}>
          <Resources job={job} />
          {job.state !== 'queued' && <UsageCharts job={job} />}
        </Flex>
      </div>
    </Flex>
  );
}

const TABS = ['overview', 'log', 'spec', 'events'] as const;
type Tab = (typeof TABS)[number];

function Content({ tab, job }: { tab: Tab; job: Job }) {
  switch (tab) {
    case 'log':
      return <LogView job={job} />;
    case 'spec':
      return <SpecTab job={job} />;
    case 'events':
      return <EventsTab job={job} />;
    default:
      return <Overview job={job} />;
  }
}

export default function JobPage() {
  const t = useText();
  const { project = '', id = '' } = useParams();
  const [asked, setTab] = useParam('tab', { push: true });
  const tab = TABS.find((k) => k === asked) ?? 'overview';
  const query = useJob(project, id);
  const job = query.data;
  const list = `/p/${encodeURIComponent(project)}/jobs`;
  if (query.error?.status === 404) {
    return <Missing title={t('jobs.gone')} hint={t('jobs.gone_hint')} extra={<LinkButton to={list}>{t('nav.jobs')}</LinkButton>} />;
  }
  return (
    <>
      <PageHead
        title={job?.name ?? id}
        state={job && t(`state.${job.state}`)}
        crumbs={[{ name: project }, { name: t('nav.jobs'), to: list }, { name: id }]}
        extra={job && <JobStateTag state={job.state} />}
        actions={job && <Actions job={job} />}
        commands={[
          { cli: `strata job show ${id} -p ${project}`, url: jobUrl(project, id) },
          { cli: `strata job logs --follow ${id} -p ${project}`, url: `${jobUrl(project, id)}/log?follow=1` },
          { cli: `strata job usage ${id} -p ${project}`, url: `${jobUrl(project, id)}/usage` },
          ...(job && isFinished(job)
            ? [{ cli: `strata job delete ${id} -p ${project}`, method: 'DELETE', url: jobUrl(project, id) }]
            : [{ cli: `strata job cancel ${id} -p ${project}`, method: 'POST', url: `${jobUrl(project, id)}/cancel` }]),
        ]}
      />
      {query.error && <ErrorView error={query.error} retry={() => void query.refetch()} />}
      {!job && !query.error && <Skeleton active title={false} paragraph={{ rows: 8 }} />}
      {job && (
        <>
          <Tabs
            activeKey={tab}
            onChange={(k) => setTab(k === 'overview' ? '' : k)}
            items={TABS.map((k) => ({
              key: k,
              label: t(`jobs.tab_${k}`),
              children:
                k === tab ? (
                  <Suspense fallback={<Skeleton active title={false} paragraph={{ rows: 6 }} />}>
                    <Content tab={k} job={job} />
                  </Suspense>
                ) : null,
            }))}
          />
        </>
      )}
    </>
  );
}
