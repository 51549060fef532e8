// A project: who works in it, its secrets, whether anybody may read it, its end.
import { App, Button, Card, Flex, Input, Skeleton, Typography, Upload } from 'antd';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router-dom';
import { logoUrl, setDescription, setLogo, useMembers } from '../../api/admin';
import { path, type ApiError } from '../../api/client';
import { useGet } from '../../api/queries';
import type { Project } from '../../api/types';
import { CacheTag, ProjectLogo } from '../../app/project';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';
import { DeleteProject } from './DeleteProject';
import { Members } from './Members';
import { PublicSwitch } from './Projects';
import { ProjectRobots } from './Robots';
import { Secrets } from './Secrets';
import { TrustKeys, TrustRules } from './Trust';
import './admin.css';

function Visibility({ project }: { project: Project }) {
  const t = useText();
  return (
    <Card title={t('admin.visibility')}>
      <Flex gap={12} align="center">
        <PublicSwitch project={project} />
        <span>{t(project.public ? 'admin.is_public' : 'admin.is_private')}</span>
      </Flex>
    </Card>
  );
}

/** What it is for, and (of a cache) where its images come from. */
function About({ project }: { project: Project }) {
  const t = useText();
  const { message } = App.useApp();
  const [text, setText] = useState(project.description);
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      await setDescription(project.name, text);
      void message.success(t('project.description_saved'));
    } catch (e) {
      void message.error((e as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={t('project.description')} extra={<CacheTag project={project} />}>
      {project.proxy && <Typography.Paragraph>{t('project.ttl', { seconds: project.proxy.ttl_seconds })}</Typography.Paragraph>}
      <Flex gap={12} vertical align="start">
        <Input.TextArea value={text} onChange={(e) => setText(e.target.value)} maxLength={2048} autoSize={{ minRows: 2, maxRows: 10 }} aria-label={t('project.description')} />
        <Button onClick={() => void save()} loading={busy} disabled={text === project.description}>
          {t('action.save')}
        </Button>
      </Flex>
    </Card>
  );
}

const LOGO_BYTES_MAX = 64 * 1024; // what the server takes
const PICTURES = ['image/png', 'image/jpeg', 'image/webp'];

function Logo({ project }: { project: Project }) {
  const t = useText();
  const { message } = App.useApp();
  const [busy, setBusy] = useState(false);
  const save = async (picture: Blob | null) => {
    if (picture && picture.size > LOGO_BYTES_MAX) {
      void message.error(t('project.logo_hint'));
      return;
    }
    setBusy(true);
    try {
      await setLogo(project.name, picture);
    } catch (e) {
      void message.error((e as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={t('project.logo')}>
      <Flex gap={12} align="center" wrap>
        <ProjectLogo project={project} size={48} />
        <Upload accept={PICTURES.join(',')} showUploadList={false} beforeUpload={(file) => (void save(file), false)}>
          <Button loading={busy}>{t('project.logo_choose')}</Button>
        </Upload>
        {project.logo && (
          <Button danger onClick={() => void save(null)} disabled={busy}>
            {t('project.logo_remove')}
          </Button>
        )}
        <Typography.Text type="secondary">{t('project.logo_hint')}</Typography.Text>
      </Flex>
    </Card>
  );
}

function DangerZone({ project }: { project: string }) {
  const t = useText();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  return (
    <Card title={t('admin.danger')} className="danger-zone">
      <Typography.Paragraph>{t('admin.danger_hint')}</Typography.Paragraph>
      <Button danger onClick={() => setAsking(true)}>
        {t('admin.delete_project', { name: project })}
      </Button>
      {asking && <DeleteProject project={project} close={() => setAsking(false)} done={() => navigate('/overview')} />}
    </Card>
  );
}

export default function ProjectSettings() {
  const t = useText();
  const name = useParams().project ?? '';
  const { may } = useSession();
  const project = useGet<Project>(['projects', name], path`/api/v1/projects/${name}`);
  const members = useMembers(name); // waited for: what is below them would jump
  const mayManage = may('project:manage', name);
  return (
    <>
      <PageHead
        title={t('admin.project_settings')}
        commands={[
          { cli: `strata project members -p ${name}`, url: path`/api/v1/projects/${name}/members` },
          { cli: `strata project grant USER developer -p ${name}`, method: 'PUT', url: path`/api/v1/projects/${name}/members/USER`, body: { role: 'developer' } },
          ...(mayManage
            ? [{ cli: `strata robot create NAME --allow image:pull -p ${name}`, method: 'POST' as const, url: path`/api/v1/projects/${name}/robots`, body: { name: 'NAME', permissions: ['image:pull'] } }]
            : []),
          ...(mayManage
            ? [
                { cli: `strata key add NAME KEY.pub -p ${name}`, method: 'POST' as const, url: path`/api/v1/projects/${name}/trust-keys`, body: { name: 'NAME', pem: 'PEM' } },
                { cli: `strata trust set --signed pull_and_run -p ${name}`, method: 'PUT' as const, url: path`/api/v1/projects/${name}/trust-policy`, body: { require_signature: 'pull_and_run' } },
              ]
            : []),
          { cli: `strata secret set NAME -p ${name} < FILE`, method: 'PUT', url: path`/api/v1/projects/${name}/secrets/NAME`, body: { value: 'VALUE' } },
          ...(mayManage ? [{ cli: `strata project logo ${name} --remove`, method: 'DELETE' as const, url: logoUrl(name) }] : []),
          { cli: `strata project set ${name} --public no`, method: 'PATCH', url: path`/api/v1/projects/${name}`, body: { public: false } },
        ]}
      />
      {project.error ? (
        <ErrorView error={project.error} retry={() => void project.refetch()} />
      ) : !project.data || members.isPending ? (
        <Skeleton active />
      ) : (
        <div className="grid-2">
          <div className="stack">
            <Members project={name} />
            {mayManage && <ProjectRobots project={name} />}
            {mayManage && <TrustKeys project={name} />}
          </div>
          <div className="stack">
            {may('secret:read', name) && <Secrets project={name} />}
            {mayManage && <About key={project.data.description} project={project.data} />}
            {mayManage && <Logo project={project.data} />}
            {mayManage && <TrustRules project={name} />}
            {mayManage && <Visibility project={project.data} />}
            {mayManage && <DangerZone project={name} />}
          </div>
        </div>
      )}
    </>
  );
}
