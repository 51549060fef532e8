// Deleting a project takes everything along: what that is stands in the question, and its name must be typed.
import { Button, Input, Modal, Skeleton, Typography } from 'antd';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { deleteProject, type Member } from '../../api/admin';
import { get, path, type Page } from '../../api/client';
import type { Job, Repository, Volume } from '../../api/types';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { useText } from '../../i18n';

const more = <T,>(p: Page<T>) => `${p.items.length}${p.next ? '+' : ''}`;

function useContents(project: string) {
  return useQuery({
    queryKey: ['contents', project],
    staleTime: 0,
    queryFn: async () => {
      const read = <T,>(what: string) => get<Page<T>>(path`/api/v1/projects/${project}/` + `${what}?limit=1000`);
      const [repositories, volumes, jobs, members] = await Promise.all([
        read<Repository>('repositories'),
        read<Volume>('volumes'),
        read<Job>('jobs'),
        read<Member>('members'),
      ]);
      return {
        repositories: more(repositories),
        images_size: bytes(repositories.items.reduce((s, r) => s + r.size_bytes, 0)),
        volumes: more(volumes),
        volumes_size: bytes(volumes.items.reduce((s, v) => s + (v.size_bytes ?? 0), 0)),
        jobs: more(jobs),
        running: jobs.items.filter((j) => !j.finished_at).length,
        members: more(members),
      };
    },
  });
}

function Contents({ project }: { project: string }) {
  const t = useText();
  const contents = useContents(project);
  if (contents.error) {
    return <ErrorView error={contents.error} />;
  }
  if (!contents.data) {
    return <Skeleton active title={false} />;
  }
  const c = contents.data;
  return (
    <>
      <Typography.Paragraph>{t('admin.project_goes')}</Typography.Paragraph>
      <ul>
        <li>{t('admin.goes_images', { n: c.repositories, size: c.images_size })}</li>
        <li>{t('admin.goes_volumes', { n: c.volumes, size: c.volumes_size })}</li>
        <li>{t('admin.goes_jobs', { n: c.jobs, running: c.running })}</li>
        <li>{t('admin.goes_rest', { n: c.members })}</li>
      </ul>
    </>
  );
}

export function DeleteProject({ project, close, done }: { project: string; close: () => void; done?: () => void }) {
  const t = useText();
  const { reload } = useSession();
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await deleteProject(project);
      await reload();
      close();
      done?.();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      title={t('admin.delete_project', { name: project })}
      onCancel={close}
      footer={[
        <Button key="no" onClick={close}>
          {t('action.cancel')}
        </Button>,
        <Button key="yes" danger type="primary" disabled={typed !== project} loading={busy} onClick={() => void run()}>
          {t('action.delete')}
        </Button>,
      ]}
    >
      <Contents project={project} />
      <label htmlFor="project-name" className="confirm-name">{t('admin.type_name', { name: project })}</label>
      <Input id="project-name" value={typed} onChange={(e) => setTyped(e.target.value)} autoComplete="off" />
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
