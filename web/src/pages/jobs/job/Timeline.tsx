// How a job came to where it is: a bar an attempt, waiting, starting and running by their lengths.
import { Card, Flex, Tooltip } from 'antd';
import type { Job, JobState } from '../../../api/types';
import { dateTime, duration } from '../../../components/format';
import { JobStateTag } from '../../../components/JobStateTag';
import { useNow } from '../../../components/time';
import { isFinished } from '../../../api/jobs';
import { useLanguage, useServerText } from '../../../i18n';
import { attemptsOf, type Attempt, type Span } from './spans';

const SHOWN: JobState[] = ['queued', 'starting', 'running'];

function Bar({ span, from, whole }: { span: Span; from: number; whole: number }) {
  const { t, language } = useLanguage();
  const say = useServerText();
  const name = t(`state.${span.state}`);
  const took = duration(span.to - span.from);
  return (
    <Tooltip title={<>{name}: {took}<br />{dateTime(new Date(span.from).toISOString(), language)}<br />{say(span.reason)}</>}>
      <span
        className={`bar bar-${span.state}${span.isOpen ? ' bar-open' : ''}`}
        style={{ left: `${(100 * (span.from - from)) / whole}%`, width: `${(100 * (span.to - span.from)) / whole}%` }}
      />
    </Tooltip>
  );
}

function Row({ row, from, whole, only }: { row: Attempt; from: number; whole: number; only: boolean }) {
  const { t } = useLanguage();
  const say = useServerText();
  const said = row.spans.map((s) => `${t(`state.${s.state}`)} ${duration(s.to - s.from)}`).join(', ');
  const end = row.end ? `, ${t(`state.${row.end.state}`)}: ${say(row.end.reason)}` : '';
  return (
    <div className="bar-row">
      {!only && <span className="bar-name">{t('jobs.attempt_n', { n: row.attempt })}</span>}
      <div className="bars" role="img" aria-label={`${t('jobs.attempt_n', { n: row.attempt })}: ${said}${end}`}>
        {row.spans.map((s) => (
          <Bar key={s.from + s.state} span={s} from={from} whole={whole} />
        ))}
      </div>
      {row.end && (
        <Flex className="bar-end" gap={6} align="center">
          <JobStateTag state={row.end.state} />
          <span className="secondary small">{say(row.end.reason)}</span>
        </Flex>
      )}
    </div>
  );
}

export function Timeline({ job }: { job: Job }) {
  const { t, language } = useLanguage();
  const now = useNow(1000, !isFinished(job));
  const rows = attemptsOf(job.history ?? [], now);
  const from = new Date(job.created_at).getTime();
  const to = job.finished_at ? new Date(job.finished_at).getTime() : Math.max(now, from);
  const whole = Math.max(1, to - from);
  return (
    <Card
      size="small"
      title={t('jobs.timeline')}
      extra={
        <Flex gap={10} wrap className="secondary small">
          {SHOWN.map((s) => (
            <span key={s} className="legend">
              <i className={`bar-${s}`} aria-hidden /> {t(`state.${s}`)}
            </span>
          ))}
        </Flex>
      }
    >
      <div className="timeline">
        {rows.map((r) => (
          <Row key={r.attempt} row={r} from={from} whole={whole} only={rows.length === 1} />
        ))}
        <Flex justify="space-between" gap={8} wrap className="secondary small">
          <time dateTime={job.created_at}>{dateTime(job.created_at, language)}</time>
          <strong>{duration(whole)}</strong>
          <span>{job.finished_at ? dateTime(job.finished_at, language) : t('jobs.now')}</span>
        </Flex>
      </div>
    </Card>
  );
}
