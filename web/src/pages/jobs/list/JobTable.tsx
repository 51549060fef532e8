// The table of jobs: only the rows one sees are in the page.
import { Grid, Table, Tooltip, type TableColumnsType } from 'antd';
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type UIEvent } from 'react';
import { Link } from 'react-router-dom';
import type { Job } from '../../../api/types';
import { bytes, cpus } from '../../../components/format';
import { JobStateTag } from '../../../components/JobStateTag';
import { Ago, Took } from '../../../components/time';
import { useText, type Text } from '../../../i18n';
import { isFinished } from '../../../api/jobs';

interface Props {
  project: string;
  rows: Job[];
  isLoading: boolean;
  selected: string[];
  select: (ids: string[]) => void;
  onEnd: () => void;
}

export function asked(job: Job, t: Text): string {
  const gpu = job.gpus > 0 ? ` · ${t('jobs.gpus', { n: job.gpus })}` : '';
  return `${t('jobs.cpus', { n: cpus(job.cpu_milli) })} · ${bytes(job.memory_bytes)}${gpu}`;
}

/** Why it is as it is, in a few words; nothing where the state says it all. */
const why = (job: Job) => (job.state === 'running' || job.state === 'succeeded' ? '' : (job.exit?.text ?? job.reason));

function Name({ job }: { job: Job }) {
  return (
    <div className="two-lines">
      <Link to={`/p/${encodeURIComponent(job.project)}/jobs/${job.id}`} className="ellipsis" title={job.name}>
        {job.name}
      </Link>
      <span className="secondary mono ellipsis">{job.id}</span>
    </div>
  );
}

function State({ job }: { job: Job }) {
  return (
    <div className="two-lines">
      <span>
        <JobStateTag state={job.state} />
      </span>
      {why(job) && (
        <Tooltip title={why(job)}>
          <span className="secondary ellipsis small">{why(job)}</span>
        </Tooltip>
      )}
    </div>
  );
}

function Time({ job }: { job: Job }) {
  const t = useText();
  return job.started_at ? (
    <Took from={job.started_at} to={job.finished_at} />
  ) : isFinished(job) ? (
    <span>–</span>
  ) : (
    <span className="secondary">
      {t('jobs.waits_for')} <Took from={job.created_at} to={null} />
    </span>
  );
}

function columnsOf(t: Text, isWide: boolean): TableColumnsType<Job> {
  if (!isWide) {
    return [
      {
        title: t('jobs.job'),
        key: 'job',
        render: (_, job) => (
          <div className="job-card">
            <div className="grow">
              <Name job={job} />
              <span className="secondary small ellipsis">{why(job) || job.image}</span>
            </div>
            <div className="job-card-right">
              <JobStateTag state={job.state} />
              <span className="small">
                <Time job={job} />
              </span>
            </div>
          </div>
        ),
      },
    ];
  }
  return [
    { title: t('jobs.name'), key: 'name', width: 170, render: (_, job) => <Name job={job} /> },
    { title: t('jobs.state'), key: 'state', width: 205, render: (_, job) => <State job={job} /> },
    { title: t('jobs.image'), key: 'image', width: 150, render: (_, job) => <span className="ellipsis block" title={job.image}>{job.image}</span> },
    { title: t('jobs.user'), key: 'user', width: 80, render: (_, job) => <span className="ellipsis block" title={job.user}>{job.user}</span> },
    { title: t('jobs.resources'), key: 'resources', width: 150, render: (_, job) => asked(job, t) },
    { title: t('jobs.time'), key: 'time', width: 100, render: (_, job) => <Time job={job} /> },
    { title: t('jobs.created'), key: 'created', width: 115, render: (_, job) => <Ago at={job.created_at} /> },
  ];
}

/** As high as the window lets it be: the list scrolls, not the page. */
function useHeight() {
  const box = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(480);
  const fit = () => {
    const top = (box.current?.getBoundingClientRect().top ?? 0) + scrollY;
    setHeight(Math.max(280, Math.round(innerHeight - top - 130)));
  };
  useLayoutEffect(fit); // each time: what stands above comes and goes
  useEffect(() => {
    addEventListener('resize', fit);
    return () => removeEventListener('resize', fit);
  }, []);
  return { box, height };
}

export function JobTable({ rows, isLoading, selected, select, onEnd }: Props) {
  const t = useText();
  const isWide = Grid.useBreakpoint().lg ?? true;
  const columns = useMemo(() => columnsOf(t, isWide), [t, isWide]);
  const { box, height } = useHeight();
  const onScroll = (e: UIEvent) => {
    const el = e.currentTarget as HTMLElement;
    if (el.scrollHeight - el.scrollTop - el.clientHeight < 1500) {
      onEnd();
    }
  };
  return (
    <div ref={box} className="job-table">
      <Table<Job>
        virtual
        size="small"
        rowKey="id"
        columns={columns}
        dataSource={rows}
        loading={{ spinning: isLoading && rows.length === 0, delay: 300 }}
        pagination={false}
        scroll={{ y: height, x: isWide ? 1000 : 320 }}
        onScroll={onScroll}
        rowSelection={{
          columnWidth: 40,
          preserveSelectedRowKeys: true,
          selectedRowKeys: selected,
          onChange: (ids) => select(ids as string[]),
          getCheckboxProps: (job) => ({ 'aria-label': t('jobs.select', { name: job.name }) }) as object,
          getTitleCheckboxProps: () => ({ 'aria-label': t('jobs.select_all') }) as object,
        }}
      />
    </div>
  );
}
