// What a project decided about its images: how much room they have, which tags stay and never change, who is told.
import { Tabs } from 'antd';
import { useParams } from 'react-router-dom';
import { path } from '../../../api/client';
import { useSession } from '../../../app/session';
import { PageHead } from '../../../components/PageHead';
import { useParam } from '../../../components/useParam';
import { useText } from '../../../i18n';
import { Immutable } from './Immutable';
import { Quota } from './Quota';
import { Retention } from './Retention';
import { Webhooks } from './Webhooks';
import '../images.css';

export default function ImageRules() {
  const t = useText();
  const project = useParams().project ?? '';
  const { may } = useSession();
  const [tab, setTab] = useParam('tab', 'quota');
  const mayManage = may('project:manage', project);
  return (
    <>
      <PageHead
        title={t('rules.title')}
        crumbs={[{ name: t('images.title'), to: `/p/${encodeURIComponent(project)}/images` }, { name: t('rules.title') }]}
        commands={[
          { cli: `strata quota show -p ${project}`, url: path`/api/v1/projects/${project}/quota` },
          { cli: `strata webhook list -p ${project}`, url: path`/api/v1/projects/${project}/webhooks` },
          {
            cli: `strata webhook create NAME --url https://ci.example/NAME --event PUSH_ARTIFACT -p ${project}`,
            method: 'POST',
            url: path`/api/v1/projects/${project}/webhooks`,
            body: { name: 'NAME', url: 'https://ci.example/NAME', events: ['PUSH_ARTIFACT'] },
          },
        ]}
      />
      <Tabs
        activeKey={tab}
        onChange={setTab}
        destroyOnHidden
        items={[
          { key: 'quota', label: t('rules.quota'), children: <Quota project={project} /> },
          { key: 'retention', label: t('rules.retention'), children: <Retention project={project} mayManage={mayManage} /> },
          { key: 'immutable', label: t('rules.immutable'), children: <Immutable project={project} mayManage={mayManage} /> },
          ...(mayManage ? [{ key: 'webhooks', label: t('rules.webhooks'), children: <Webhooks project={project} /> }] : []),
        ]}
      />
    </>
  );
}
