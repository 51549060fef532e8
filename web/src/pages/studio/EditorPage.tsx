// The editor of a pipeline: canvas, list or text of the same document; what is wrong; how its run goes.
import { DownOutlined, PlayCircleOutlined, SaveOutlined } from '@ant-design/icons';
import { ReactFlowProvider, useReactFlow } from '@xyflow/react';
import { App, Alert, Button, Dropdown, Flex, Grid, Segmented, Skeleton, Space, Tag } from 'antd';
import { useEffect, useMemo, useState } from 'react';
import { useParams } from 'react-router-dom';
import type { ApiError } from '../../api/client';
import { pipelineUrl, pipelinesUrl, useModules, usePipeline, type Module, type Pipeline } from '../../api/studio';
import { Missing } from '../../app/NotFound';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { LinkButton } from '../../components/LinkButton';
import { quote } from '../../components/shell';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';
import { Canvas } from './editor/Canvas';
import { DocForm } from './editor/DocForm';
import { heightIn } from './editor/heights';
import { useCanvasKeys } from './editor/keys';
import { ListView } from './editor/ListView';
import { Mistakes } from './editor/Mistakes';
import { NodeForm } from './editor/NodeForm';
import { Palette, usePalette } from './editor/Palette';
import { Refused } from './editor/Refused';
import { Editor, EditorProvider, useEditor, useEditorOf, useEditorStore } from './editor/store';
import { Toolbar } from './editor/Toolbar';
import { useCheck } from './editor/useCheck';
import { draftOf, dropDraft, useSaving } from './editor/useSaving';
import { YamlView } from './editor/YamlView';
import { modulesOf } from './graph/document';
import { placed } from './graph/layout';
import { PipelineMenu } from './PipelineMenu';
import { PreviewDrawer } from './preview/PreviewDrawer';
import { RunBar } from './runs/RunBar';
import { RunDialog } from './runs/RunDialog';
import { useLiveRun } from './runs/useLiveRun';
import { useStart } from './runs/useStart';
import './studio.css';

/** Beside the canvas: the step that is selected, else the pipeline. */
function Inspector({ project, preview }: { project: string; preview: (node: string, port: string) => void }) {
  const t = useText();
  const selection = useEditor((e) => e.selection);
  const doc = useEditor((e) => e.doc);
  const chosen = [...selection].filter((id) => Object.hasOwn(doc.nodes, id));
  return (
    <section className="inspector" aria-label={t('studio.settings')} tabIndex={0}>
      {chosen.length === 1 ? <NodeForm key={chosen[0]} id={chosen[0] as string} project={project} preview={preview} /> : chosen.length > 1 ? <p>{t('studio.n_selected', { n: chosen.length })}</p> : <DocForm />}
    </section>
  );
}

function CanvasView({ project, preview, hasRun }: { project: string; preview: (node: string, port: string) => void; hasRun: boolean }) {
  const editor = useEditorStore();
  const flow = useReactFlow();
  const t = useText();
  useCanvasKeys(editor);
  const isEmpty = useEditor((e) => Object.keys(e.doc.nodes).length === 0);
  const [hasPalette, setPalette] = usePalette();
  const show = (id: string) => {
    editor.select([id]);
    void flow.fitView({ nodes: [{ id }], maxZoom: 1, padding: 1 });
  };
  return (
    <div className={`studio ${editor.readOnly || !hasPalette ? 'studio-read' : ''} ${hasRun ? 'studio-runs' : ''}`}>
      {!editor.readOnly && hasPalette && <Palette />}
      <div className="studio-middle">
        <Toolbar hasPalette={hasPalette} setPalette={setPalette} />
        <div className="studio-canvas">
          <Canvas />
          {isEmpty && <p className="canvas-hint secondary">{t('studio.empty_canvas')}</p>}
          <Refused />
        </div>
        <div className="checks">
          <Mistakes show={show} />
        </div>
      </div>
      <Inspector project={project} preview={preview} />
    </div>
  );
}

type View = 'canvas' | 'list' | 'yaml';

function Loaded({ project, name, pipeline, modules }: { project: string; name: string; pipeline: Pipeline; modules: Module[] }) {
  const t = useText();
  const say = useServerText();
  const { may } = useSession();
  const { message } = App.useApp();
  const mayRun = may('pipeline:run', project);
  const isNarrow = Grid.useBreakpoint().md === false;
  const [editor] = useState(() => {
    const known = modulesOf(modules);
    const saved = placed(pipeline.document, heightIn(known));
    const made = new Editor(saved, pipeline.version, known);
    made.readOnly = !may('pipeline:write', project);
    const draft = draftOf(project, name, pipeline.version);
    if (draft) {
      made.apply(draft);
    }
    return made;
  });
  const [viewParam, setView] = useParam('view');
  const view: View = viewParam === 'yaml' ? 'yaml' : viewParam === 'list' || isNarrow ? 'list' : 'canvas';
  const [previewParam, setPreview] = useParam('preview');
  const [runId, setRunId] = useState<string | number | null>(pipeline.last_run?.id ?? null);
  const [turn, setTurn] = useState(0); // a run that goes on is followed again
  const run = useLiveRun(project, runId, turn, () => setRunId(null));
  const { busy, save, conflict, forget } = useSaving(project, name, editor);
  useCheck(project, editor);
  useEffect(() => editor.setRun(run), [editor, run]);
  const version = useEditorOf(editor, (e) => e.version);
  const isChanged = useEditorOf(editor, (e) => e.isChanged);
  const selected = useEditorOf(editor, (e) => (e.selectedNodes.size === 1 ? ([...e.selectedNodes][0] as string) : ''));
  const params = useEditorOf(editor, (e) => e.doc.params);

  const store = async (over?: number) => {
    try {
      const done = await save(over);
      if (done !== null && !editor.readOnly) {
        void message.success(t('studio.saved', { n: done }));
      }
    } catch (e) {
      void message.error(say((e as ApiError).original));
    }
  };
  const { asking, ask, start, close } = useStart(project, name, editor, save, setRunId);
  const preview = (node: string, port: string) => setPreview(`${node}.${port}`);
  const url = pipelineUrl(project, name);
  return (
    <EditorProvider value={editor}>
      <ReactFlowProvider>
        <PageHead
          title={name}
          state={run ? t(`studio.state_${run.state}`) : undefined}
          crumbs={[{ name: project }, { name: t('nav.pipelines'), to: `/p/${encodeURIComponent(project)}/pipelines` }, { name }]}
          extra={
            <>
              <Tag>{t('studio.version_n', { n: version })}</Tag>
              {isChanged && <Tag color="warning">{t('studio.unsaved')}</Tag>}
            </>
          }
          actions={
            <>
              <Segmented<View>
                aria-label={t('studio.view')}
                value={view}
                onChange={(v) => setView(v === 'canvas' ? '' : v)}
                options={[...(isNarrow ? [] : [{ value: 'canvas' as const, label: t('studio.as_canvas') }]), { value: 'list' as const, label: t('studio.as_list') }, { value: 'yaml' as const, label: 'YAML' }]}
              />
              {!editor.readOnly && (
                <Button icon={<SaveOutlined />} loading={busy} disabled={!isChanged} onClick={() => void store()}>
                  {t('action.save')}
                </Button>
              )}
              {mayRun && (
                <Space.Compact>
                  <Button type="primary" icon={<PlayCircleOutlined />} onClick={() => ask({})}>
                    {t('studio.run')}
                  </Button>
                  <Dropdown
                    trigger={['click']}
                    menu={{
                      items: [
                        { key: 'to', label: t('studio.run_to', { id: selected || '…' }), disabled: !selected },
                        { key: 'from', label: t('studio.run_from', { id: selected || '…' }), disabled: !selected },
                        { key: 'fresh', label: t('studio.run_fresh') },
                      ],
                      onClick: ({ key }) => ask(key === 'fresh' ? { cache: false } : { [key]: selected }),
                    }}
                  >
                    <Button type="primary" icon={<DownOutlined />} aria-label={t('studio.run_more')} />
                  </Dropdown>
                </Space.Compact>
              )}
              <PipelineMenu project={project} name={name} pipeline={pipeline} />
            </>
          }
          commands={[
            { cli: `strata pipeline get ${quote(name)} -p ${project}`, url },
            { cli: `strata pipeline put NAME pipeline.yaml -p ${project}`, method: 'PUT', url: `${pipelinesUrl(project)}/NAME`, file: 'pipeline.yaml', type: 'application/yaml' },
            { cli: `strata pipeline check pipeline.yaml -p ${project}`, method: 'POST', url: `${pipelinesUrl(project)}/check`, file: 'pipeline.yaml', type: 'application/yaml' },
            { cli: `strata pipeline run ${quote(name)} -p ${project}`, method: 'POST', url: `${url}/runs`, body: {} },
          ]}
        />
        {conflict && (
          <Alert
            className="conflict"
            type="warning"
            showIcon
            role="alert"
            title={t('studio.conflict')}
            description={say(conflict.original)}
            action={
              <Flex vertical gap={6}>
                <Button size="small" onClick={() => (dropDraft(project, name), location.reload())}>
                  {t('studio.take_theirs')}
                </Button>
                <LinkButton size="small" to={`/p/${encodeURIComponent(project)}/pipelines/${encodeURIComponent(name)}/versions`}>
                  {t('studio.see_versions')}
                </LinkButton>
                <Button size="small" onClick={forget}>
                  {t('action.cancel')}
                </Button>
              </Flex>
            }
          />
        )}
        {runId !== null && !run && <div className="run-bar run-wait" aria-busy="true" />}
        {run && <RunBar project={project} run={run} may={mayRun} show={() => setTurn(turn + 1)} point={(id) => editor.select([id])} hide={() => setRunId(null)} />}
        {view === 'canvas' ? (
          <CanvasView project={project} preview={preview} hasRun={runId !== null} />
        ) : view === 'list' ? (
          <>
            <Mistakes show={(id) => editor.select([id])} />
            <ListView project={project} preview={preview} />
          </>
        ) : (
          <>
            <Mistakes show={(id) => (editor.select([id]), setView(''))} />
            <YamlView />
          </>
        )}
        {asking && <RunDialog title={t('studio.run_title', { name })} params={params ?? []} request={asking} start={start} close={close} />}
        <PreviewDrawer project={project} run={run} at={previewParam} go={setPreview} />
      </ReactFlowProvider>
    </EditorProvider>
  );
}

export default function EditorPage() {
  const t = useText();
  const { project = '', name = '' } = useParams();
  const pipeline = usePipeline(project, name);
  const modules = useModules(project);
  const list = `/p/${encodeURIComponent(project)}/pipelines`;
  const error = pipeline.error ?? modules.error;
  const ready = useMemo(() => (pipeline.data && modules.data ? { pipeline: pipeline.data, modules: modules.data } : null), [pipeline.data, modules.data]);
  if (pipeline.error?.status === 404) {
    return <Missing title={t('studio.gone')} hint={t('studio.gone_hint')} extra={<LinkButton to={list}>{t('nav.pipelines')}</LinkButton>} />;
  }
  if (!ready) {
    return error ? <ErrorView error={error} retry={() => (void pipeline.refetch(), void modules.refetch())} /> : <Skeleton active title={false} paragraph={{ rows: 10 }} />;
  }
  return <Loaded key={`${project}/${name}`} project={project} name={name} {...ready} />;
}
