// What can be done with the jobs that are selected.
import { Alert, App, Button, Flex, Progress, Typography } from 'antd';
import { useState } from 'react';
import { cancelJob, deleteJob, isFinished } from '../../../api/jobs';
import { queryClient } from '../../../api/queries';
import type { Job } from '../../../api/types';
import { useSession } from '../../../app/session';
import { useText } from '../../../i18n';
import { forEachJob, type Failure } from './bulk';

interface Run {
  done: number;
  all: number;
}

function Failures({ failures, close }: { failures: Failure[]; close: () => void }) {
  const t = useText();
  return failures.length === 0 ? null : (
    <Alert
      role="alert"
      type="error"
      showIcon
      closable={{ onClose: close, 'aria-label': t('action.close') }}
      style={{ marginBottom: 12 }}
      title={t('jobs.bulk_failed', { n: failures.length })}
      description={
        <ul className="plain bulk-failures">
          {failures.map(({ job, error }) => (
            <li key={job.id}>
              <Typography.Text strong>{job.name}</Typography.Text> <span className="mono">{job.id}</span>:{' '}
              {error instanceof Error ? error.message : String(error)}
            </li>
          ))}
        </ul>
      }
    />
  );
}

export function BulkBar({ project, selected, clear }: { project: string; selected: Job[]; clear: () => void }) {
  const t = useText();
  const { may } = useSession();
  const { modal } = App.useApp();
  const [run, setRun] = useState<Run | null>(null);
  const [failures, setFailures] = useState<Failure[]>([]);
  const active = selected.filter((j) => !isFinished(j));
  const finished = selected.filter(isFinished);

  const start = async (jobs: Job[], work: (j: Job) => Promise<unknown>) => {
    setFailures([]);
    setRun({ done: 0, all: jobs.length });
    const failed = await forEachJob(jobs, work, (done) => setRun({ done, all: jobs.length }));
    setFailures(failed);
    setRun(null);
    clear();
    void queryClient.invalidateQueries({ queryKey: ['joblist', project] });
  };
  const ask = (title: string, content: string, ok: string, jobs: Job[], work: (j: Job) => Promise<unknown>) =>
    modal.confirm({
      title,
      content,
      okText: ok,
      okButtonProps: { danger: true },
      cancelText: t('action.cancel'),
      onOk: () => void start(jobs, work),
    });

  const isShown = may('job:cancel', project) && (selected.length > 0 || run !== null);
  return (
    <>
      <Failures failures={failures} close={() => setFailures([])} />
      {isShown && (
        <Flex className="bulk-bar" gap={12} wrap align="center" role="region" aria-label={t('jobs.bulk')}>
          {run ? (
            <>
              <span role="status">{t('jobs.bulk_running', { n: run.done, all: run.all })}</span>
              <Progress percent={Math.round((100 * run.done) / run.all)} style={{ flex: 1, minWidth: 120 }} aria-label={t('jobs.bulk')} />
            </>
          ) : (
            <>
              <span role="status">{t('jobs.bulk_selected', { n: selected.length })}</span>
              <Button
                danger
                disabled={active.length === 0}
                onClick={() =>
                  ask(
                    t('jobs.bulk_cancel_ask', { n: active.length }),
                    t('jobs.cancel_hint'),
                    t('jobs.bulk_cancel', { n: active.length }),
                    active,
                    (j) => cancelJob(project, j.id),
                  )
                }
              >
                {t('jobs.bulk_cancel', { n: active.length })}
              </Button>
              <Button
                danger
                disabled={finished.length === 0}
                onClick={() =>
                  ask(
                    t('jobs.bulk_delete_ask', { n: finished.length }),
                    t('jobs.delete_hint'),
                    t('jobs.bulk_delete', { n: finished.length }),
                    finished,
                    (j) => deleteJob(project, j.id),
                  )
                }
              >
                {t('jobs.bulk_delete', { n: finished.length })}
              </Button>
              <Button type="text" onClick={clear}>
                {t('jobs.bulk_clear')}
              </Button>
            </>
          )}
        </Flex>
      )}
    </>
  );
}
