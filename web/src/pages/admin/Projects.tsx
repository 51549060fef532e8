// All projects of the platform.
import { DeleteOutlined, PlusOutlined, SettingOutlined } from '@ant-design/icons';
import { App, Button, Switch, Typography } from 'antd';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router-dom';
import { setPublic, useAllProjects, useMembers } from '../../api/admin';
import type { ApiError } from '../../api/client';
import type { Project } from '../../api/types';
import { CacheTag, NewProject, ProjectLogo } from '../../app/project';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { DeleteProject } from './DeleteProject';

function MemberCount({ project }: { project: string }) {
  const members = useMembers(project);
  return <>{members.data ? `${members.items.length}${members.hasNextPage ? '+' : ''}` : '…'}</>;
}

export function PublicSwitch({ project }: { project: Project }) {
  const t = useText();
  const { message } = App.useApp();
  const [busy, setBusy] = useState(false);
  const change = async (to: boolean) => {
    setBusy(true);
    try {
      await setPublic(project.name, to);
    } catch (e) {
      void message.error((e as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return <Switch checked={project.public} loading={busy} onChange={(to) => void change(to)} aria-label={t('admin.public_of', { name: project.name })} />;
}

export default function Projects() {
  const t = useText();
  const navigate = useNavigate();
  const [q] = useParam('q');
  const projects = useAllProjects(q);
  const [making, setMaking] = useState(false);
  const [deleting, setDeleting] = useState<string | null>(null);
  const settings = (name: string) => `/p/${encodeURIComponent(name)}/settings`;
  return (
    <>
      <PageHead
        title={t('admin.projects')}
        commands={[
          { cli: 'strata project list', url: '/api/v1/projects' },
          { cli: 'strata project create NAME', method: 'POST', url: '/api/v1/projects', body: { name: 'NAME' } },
        ]}
        actions={
          <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking(true)}>
            {t('project.create_title')}
          </Button>
        }
      />
      <div className="filters">
        <FilterBox label={t('admin.filter_name')} />
      </div>
      {projects.error ? (
        <ErrorView error={projects.error} retry={() => void projects.refetch()} />
      ) : (
        <PagedTable<Project>
          rowKey="name"
          pages={projects}
          columns={[
            { title: t('admin.name'), dataIndex: 'name', render: (n: string, p) => (
                <>
                  <ProjectLogo project={p} /> <Link to={`/p/${encodeURIComponent(n)}/jobs`}>{n}</Link> <CacheTag project={p} />
                  {p.description && <Typography.Paragraph type="secondary" ellipsis={{ rows: 2 }}>{p.description}</Typography.Paragraph>}
                </>
              ) },
            { title: t('admin.members'), key: 'members', align: 'right', width: 110, responsive: ['sm'], render: (_, p) => <MemberCount project={p.name} /> },
            { title: t('project.public'), key: 'public', width: 90, render: (_, p) => <PublicSwitch project={p} /> },
            { title: t('admin.created'), dataIndex: 'created_at', width: 160, responsive: ['md'], render: (at: string) => <Ago at={at} /> },
            {
              title: <span className="sr-only">{t('admin.actions_head')}</span>,
              key: 'actions',
              width: 96,
              render: (_, p) => (
                <span className="nowrap">
                  <Button
                    type="text"
                    icon={<SettingOutlined />}
                    href={`/ui${settings(p.name)}`}
                    onClick={(e) => (e.preventDefault(), navigate(settings(p.name)))}
                    aria-label={t('admin.settings_of', { name: p.name })}
                    title={t('admin.settings_of', { name: p.name })}
                  />
                  <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('admin.delete_project', { name: p.name })} onClick={() => setDeleting(p.name)} />
                </span>
              ),
            },
          ]}
        />
      )}
      <NewProject open={making} close={() => setMaking(false)} />
      {deleting && <DeleteProject project={deleting} close={() => setDeleting(null)} />}
    </>
  );
}
