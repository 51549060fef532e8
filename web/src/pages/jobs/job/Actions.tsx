// What can be done with a job, as far as the user may: cancel, clone, delete.
import { CopyOutlined, DeleteOutlined, StopOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { cancelJob, deleteJob, isFinished } from '../../../api/jobs';
import { queryClient } from '../../../api/queries';
import type { Job } from '../../../api/types';
import { useSession } from '../../../app/session';
import { LinkButton } from '../../../components/LinkButton';
import { useText } from '../../../i18n';

export function Actions({ job }: { job: Job }) {
  const t = useText();
  const { may } = useSession();
  const { modal, message } = App.useApp();
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const list = `/p/${encodeURIComponent(job.project)}/jobs`;

  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    try {
      await work();
    } catch (e) {
      void message.error((e as Error).message);
    } finally {
      setBusy(false);
    }
  };
  const cancel = () =>
    modal.confirm({
      title: t('jobs.cancel_ask', { name: job.name }),
      content: t('jobs.cancel_hint'),
      okText: t('jobs.cancel'),
      okButtonProps: { danger: true },
      cancelText: t('jobs.keep_running'),
      onOk: () =>
        run(async () => {
          queryClient.setQueryData(['jobs', job.project, 'one', job.id], await cancelJob(job.project, job.id));
        }),
    });
  const remove = () =>
    modal.confirm({
      title: t('jobs.delete_ask', { name: job.name }),
      content: t('jobs.delete_hint'),
      okText: t('action.delete'),
      okButtonProps: { danger: true },
      cancelText: t('action.cancel'),
      onOk: () =>
        run(async () => {
          await deleteJob(job.project, job.id);
          void queryClient.invalidateQueries({ queryKey: ['joblist', job.project] });
          navigate(list);
        }),
    });
  return (
    <>
      {may('job:submit', job.project) && (
        <LinkButton icon={<CopyOutlined />} to={`${list}/new?from=${job.id}`}>
          {t('jobs.clone')}
        </LinkButton>
      )}
      {may('job:cancel', job.project) &&
        (isFinished(job) ? (
          <Button danger icon={<DeleteOutlined />} loading={busy} onClick={remove}>
            {t('action.delete')}
          </Button>
        ) : (
          <Button danger icon={<StopOutlined />} loading={busy} onClick={cancel}>
            {t('jobs.cancel')}
          </Button>
        ))}
    </>
  );
}
