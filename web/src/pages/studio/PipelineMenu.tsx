// What else can be done with a pipeline: versions, runs, schedule, YAML, delete.
import { MoreOutlined } from '@ant-design/icons';
import { App, Button, Dropdown } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { request, type ApiError } from '../../api/client';
import { deletePipeline, pipelineUrl, type Pipeline } from '../../api/studio';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { useServerText, useText } from '../../i18n';
import { useEditorStore } from './editor/store';
import { writeYaml } from './graph/yaml';
import { ScheduleDialog } from './ScheduleDialog';

function saveText(name: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function PipelineMenu({ project, name, pipeline }: { project: string; name: string; pipeline: Pipeline }) {
  const t = useText();
  const say = useServerText();
  const { may } = useSession();
  const { message } = App.useApp();
  const confirm = useConfirm();
  const navigate = useNavigate();
  const editor = useEditorStore();
  const [scheduling, setScheduling] = useState(false);
  const mayWrite = may('pipeline:write', project);
  const base = `/p/${encodeURIComponent(project)}`;
  const remove = () =>
    confirm({
      title: t('studio.delete_ask', { name }),
      consequence: t('studio.delete_what'),
      ok: t('action.delete'),
      run: async () => {
        await deletePipeline(project, name);
        navigate(`${base}/pipelines`);
      },
    });
  const exportYaml = async () => {
    try {
      // What is saved comes from the server, with its comments; what is not is written here.
      const text = editor.isChanged ? writeYaml(editor.doc) : await (await request('GET', `${pipelineUrl(project, name)}?format=yaml`)).text();
      saveText(`${name}.yaml`, text);
    } catch (e) {
      void message.error(say((e as ApiError).original));
    }
  };
  return (
    <>
      <Dropdown
        trigger={['click']}
        menu={{
          items: [
            { key: 'versions', label: t('studio.versions') },
            { key: 'runs', label: t('studio.runs') },
            { key: 'schedule', label: t('studio.schedule') },
            { key: 'yaml', label: t('studio.export') },
            ...(mayWrite ? [{ type: 'divider' as const }, { key: 'delete', danger: true, label: t('studio.delete') }] : []),
          ],
          onClick: ({ key }) => {
            if (key === 'versions') {
              navigate(`${base}/pipelines/${encodeURIComponent(name)}/versions`);
            } else if (key === 'runs') {
              navigate(`${base}/runs?pipeline=${encodeURIComponent(name)}`);
            } else if (key === 'schedule') {
              setScheduling(true);
            } else if (key === 'yaml') {
              void exportYaml();
            } else {
              remove();
            }
          },
        }}
      >
        <Button icon={<MoreOutlined />} aria-label={t('studio.more')} />
      </Dropdown>
      {scheduling && <ScheduleDialog project={project} name={name} pipeline={pipeline} mayWrite={mayWrite} close={() => setScheduling(false)} />}
    </>
  );
}
