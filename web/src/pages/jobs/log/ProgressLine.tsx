// How far a job is, where its log says so (strata-ml does), with an estimate of the rest.
import { Progress } from 'antd';
import { useMemo } from 'react';
import { isFinished } from '../../../api/jobs';
import type { Job } from '../../../api/types';
import { duration } from '../../../components/format';
import { useNow } from '../../../components/time';
import { useText } from '../../../i18n';
import type { Line } from './lines';
import { lastProgress, remainingMs } from './progress';

export function ProgressLine({ lines, job }: { lines: Line[]; job: Job }) {
  const t = useText();
  const progress = useMemo(() => lastProgress(lines), [lines]);
  const runs = !isFinished(job);
  const now = useNow(1000, runs && progress !== null);
  if (!progress || !job.started_at) {
    return null;
  }
  const rest = runs ? remainingMs(progress.part, now - new Date(job.started_at).getTime()) : null;
  return (
    <div className="log-progress">
      <Progress
        percent={job.state === 'succeeded' ? 100 : Math.round(progress.part * 100)}
        status={job.state === 'failed' ? 'exception' : runs ? 'active' : undefined}
        aria-label={t('jobs.progress')}
      />
      <span className="secondary">
        {t('jobs.progress_step', { step: progress.step, steps: progress.steps, module: progress.module })}
        {progress.text && ` · ${progress.text}`}
        {rest !== null && ` · ${t('jobs.progress_rest', { time: duration(rest) })}`}
      </span>
    </div>
  );
}
