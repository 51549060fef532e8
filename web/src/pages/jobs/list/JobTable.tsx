// The table of jobs: only the rows one sees are in the page.
import { Grid } from 'antd';
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router-dom';
import type { Job } from '../../../api/types';
import { bytes, cpus } from '../../../components/format';
import { JobStateTag } from '../../../components/JobStateTag';
import { Ago, Took } from '../../../components/time';
import { VirtualRows } from '../../../components/VirtualRows';
import { useText, type Key, type Text } from '../../../i18n';
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
        <span className="secondary ellipsis small" title={why(job)}>
          {why(job)}
        </span>
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

const WIDE = 56; // height of a row
const NARROW = 64;

/** As high as the window lets it be: the list scrolls, not the page. */
function useHeight() {
  const box = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(480);
  const fit = () => {
    const top = (box.current?.getBoundingClientRect().top ?? 0) + scrollY;
    setHeight(Math.max(280, Math.round(innerHeight - top - 90)));
  };
  useLayoutEffect(fit); // each time: what stands above comes and goes
  useEffect(() => {
    addEventListener('resize', fit);
    return () => removeEventListener('resize', fit);
  }, []);
  return { box, height };
}

function Card({ job }: { job: Job }) {
  return (
    <span role="cell" className="job-card">
      <span className="grow">
        <Name job={job} />
        <span className="secondary small ellipsis">{why(job) || job.image}</span>
      </span>
      <span className="job-card-right">
        <JobStateTag state={job.state} />
        <span className="small">
          <Time job={job} />
        </span>
      </span>
    </span>
  );
}

function Cells({ job }: { job: Job }) {
  const t = useText();
  return (
    <>
      <span role="cell">
        <Name job={job} />
      </span>
      <span role="cell">
        <State job={job} />
      </span>
      <span role="cell" className="ellipsis" title={job.image}>
        {job.image}
      </span>
      <span role="cell" className="ellipsis" title={job.user}>
        {job.user}
      </span>
      <span role="cell">{asked(job, t)}</span>
      <span role="cell">
        <Time job={job} />
      </span>
      <span role="cell">
        <Ago at={job.created_at} />
      </span>
    </>
  );
}

interface RowProps {
  job: Job;
  index: number;
  isWide: boolean;
  isSelected: boolean;
  toggle: (id: string) => void;
}

/** Drawn again only when something of it changes: selecting one of many is as quick as of few. */
const Row = memo(function Row({ job, index, isWide, isSelected, toggle }: RowProps) {
  const t = useText();
  return (
    <div role="row" aria-rowindex={index + 2} aria-selected={isSelected} className={`job-line ${isSelected ? 'job-selected' : ''}`} style={{ height: isWide ? WIDE : NARROW }}>
      <span role="cell">
        <input type="checkbox" checked={isSelected} aria-label={t('jobs.select', { name: job.name })} onChange={() => toggle(job.id)} />
      </span>
      {isWide ? <Cells job={job} /> : <Card job={job} />}
    </div>
  );
});

const HEADS: Key[] = ['jobs.name', 'jobs.state', 'jobs.image', 'jobs.user', 'jobs.resources', 'jobs.time', 'jobs.created'];

function Head({ isWide, all, some, toggleAll }: { isWide: boolean; all: boolean; some: boolean; toggleAll: () => void }) {
  const t = useText();
  return (
    <div role="rowgroup" className="job-heads">
      <div role="row" aria-rowindex={1} className="job-line job-head">
        <span role="columnheader">
          <input
            type="checkbox"
            aria-label={t('jobs.select_all')}
            checked={all}
            ref={(el) => {
              if (el) {
                el.indeterminate = some && !all;
              }
            }}
            onChange={toggleAll}
          />
        </span>
        {(isWide ? HEADS : (['jobs.job'] as Key[])).map((k) => (
          <span role="columnheader" key={k}>
            {t(k)}
          </span>
        ))}
      </div>
    </div>
  );
}

export function JobTable({ rows, isLoading, selected, select, onEnd }: Props) {
  const t = useText();
  const isWide = Grid.useBreakpoint().lg ?? true;
  const { box, height } = useHeight();
  const chosen = useMemo(() => new Set(selected), [selected]);
  const latest = useRef(selected);
  latest.current = selected;
  const toggle = useCallback(
    (id: string) => select(latest.current.includes(id) ? latest.current.filter((s) => s !== id) : [...latest.current, id]),
    [select],
  );
  const all = rows.length > 0 && rows.every((j) => chosen.has(j.id));
  const toggleAll = () => {
    const shown = new Set(rows.map((j) => j.id));
    const others = selected.filter((id) => !shown.has(id));
    select(all ? others : [...others, ...shown]);
  };
  return (
    <div ref={box} className="job-table" aria-busy={isLoading && rows.length === 0}>
      <VirtualRows
        role="table"
        innerRole="rowgroup"
        label={t('nav.jobs')}
        className={`job-lines ${isWide ? 'job-lines-wide' : ''}`}
        maxHeight={height}
        rowCount={-1}
        count={rows.length}
        rowHeight={isWide ? WIDE : NARROW}
        head={<Head isWide={isWide} all={all} some={selected.length > 0} toggleAll={toggleAll} />}
        onNearEnd={onEnd}
        row={(i) => {
          const job = rows[i];
          return job && <Row key={job.id} job={job} index={i} isWide={isWide} isSelected={chosen.has(job.id)} toggle={toggle} />;
        }}
      />
    </div>
  );
}
