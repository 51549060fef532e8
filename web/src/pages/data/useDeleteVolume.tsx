// Deleting a volume: says what goes, and when a job uses it, which.
import { App } from 'antd';
import { useHref, useNavigate } from 'react-router-dom';
import { ApiError, path } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Job, Volume } from '../../api/types';
import { deleteVolume, jobsUsing } from '../../api/volumes';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { JobStateTag } from '../../components/JobStateTag';
import { useText } from '../../i18n';

/** Dialogs stand outside of the router: `go` opens an address. */
function InUse({ error, jobs, base, go }: { error: unknown; jobs: Job[]; base: string; go: (to: string) => void }) {
  const t = useText();
  const to = (j: Job) => path`p/${j.project}/jobs/${j.id}`;
  return (
    <>
      <ErrorView error={error} />
      <p>{jobs.length > 0 ? t('data.in_use') : t('data.in_use_unknown')}</p>
      <ul className="plain">
        {jobs.map((j) => (
          <li key={j.id} className="job-row">
            <JobStateTag state={j.state} />
            <a
              href={base + to(j)}
              className="ellipsis"
              onClick={(e) => {
                e.preventDefault();
                go(`/${to(j)}`);
              }}
            >
              {j.name}
            </a>
            <span className="secondary mono">{j.id}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

export function useDeleteVolume(project: string) {
  const t = useText();
  const { modal, message } = App.useApp();
  const navigate = useNavigate();
  const base = useHref('/');
  const refused = async (v: Volume, error: unknown) => {
    const isUsed = error instanceof ApiError && error.status === 409;
    const jobs = isUsed ? await jobsUsing({ project, volume: v.name }).catch(() => []) : [];
    const go = (to: string) => {
      dialog.destroy();
      navigate(to);
    };
    const dialog = modal.error({
      title: t('data.delete_volume', { name: v.name }),
      okText: t('action.close'),
      content: isUsed ? <InUse error={error} jobs={jobs} base={base} go={go} /> : <ErrorView error={error} />,
    });
  };
  return (v: Volume, then?: () => void) =>
    modal.confirm({
      title: t('data.delete_volume_ask', { name: v.name }),
      content:
        v.files === null || v.size_bytes === null
          ? t('data.delete_volume_unknown')
          : t('data.delete_volume_what', { files: v.files, size: bytes(v.size_bytes) }),
      okText: t('action.delete'),
      cancelText: t('action.cancel'),
      okButtonProps: { danger: true },
      autoFocusButton: 'cancel',
      onOk: async () => {
        try {
          await deleteVolume({ project, volume: v.name });
          void message.success(t('data.deleted', { name: v.name }));
          then?.();
        } catch (e) {
          await refused(v, e);
        }
        void queryClient.invalidateQueries({ queryKey: ['volumes', project] });
      },
    });
}
