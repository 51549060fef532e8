// CPU, memory and I/O of an attempt over time, where the server keeps them.
import { Card, Flex, Skeleton, Typography } from 'antd';
import { lazy, Suspense } from 'react';
import { isFinished, useUsage } from '../../../api/jobs';
import type { Job } from '../../../api/types';
import { bytes } from '../../../components/format';
import { SaveCsv } from '../../../components/SaveCsv';
import { useText } from '../../../i18n';
import { chartsOf } from './rates';

const Plot = lazy(() => import('./Plot'));

const FIGURES = ['at', 'cpu_usec', 'memory_bytes', 'memory_peak_bytes', 'io_read_bytes', 'io_write_bytes', 'processes'] as const;

const SHOW = {
  cpu: (v: number) => v.toFixed(v < 10 ? 2 : 1),
  memory: (v: number) => bytes(Math.round(v)),
  io: (v: number) => `${bytes(Math.round(v))}/s`,
};

export function UsageCharts({ job }: { job: Job }) {
  const t = useText();
  const usage = useUsage(job.project, job.id, job.attempt, !isFinished(job)).data;
  const charts = usage && usage.samples.length > 1 ? chartsOf(usage) : [];
  if (charts.length === 0) {
    return null;
  }
  return (
    <Card size="small" title={t('jobs.usage')} extra={
        <Flex gap={8} align="center">
          {job.attempt > 1 && <span className="secondary">{t('jobs.attempt_n', { n: job.attempt })}</span>}
          {usage && <SaveCsv small name={`${job.name}-${job.id}-${job.attempt}.csv`} head={[...FIGURES]} rows={() => usage.samples.map((s) => FIGURES.map((f) => s[f]))} />}
        </Flex>
      }>
      <Flex vertical gap={16}>
        {charts.map((c) => (
          <div key={c.key}>
            <Typography.Text strong>{t(`jobs.chart_${c.key}`)}</Typography.Text>
            <Suspense fallback={<Skeleton.Node active style={{ width: '100%', height: 170 }} />}>
              <Plot chart={c} title={t(`jobs.chart_${c.key}`)} names={c.series.map((s) => t(`jobs.line_${s.key}`))} show={SHOW[c.key]} />
            </Suspense>
          </div>
        ))}
      </Flex>
    </Card>
  );
}
