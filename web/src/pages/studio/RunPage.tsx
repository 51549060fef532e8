// One run: its graph with the states of its steps, what each gave, from where it took it.
import { Button, Flex, Skeleton, Table } from 'antd';
import { lazy, Suspense, useMemo, useState } from 'react';
import { useNavigate, useParams } from 'react-router-dom';
import { deleteRun, isOver, pipelinePage, runUrl, useModules, useRun, useVersion, type RunNode } from '../../api/studio';
import { Missing } from '../../app/NotFound';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { LinkButton } from '../../components/LinkButton';
import { PageHead } from '../../components/PageHead';
import { Ago, Took } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';
import { modulesOf } from './graph/document';
import { layersOf } from './graph/layout';
import { GraphWait } from './parts/GraphWait';
import { StateTag } from './parts/StateTag';
import { PreviewDrawer } from './preview/PreviewDrawer';
import { Metrics } from './preview/ReportView';
import { RunActions } from './runs/RunBar';
import { runsCommand } from './runs/command';
import { useLiveRun } from './runs/useLiveRun';
import './studio.css';

const GraphView = lazy(() => import('./GraphView'));

interface Row {
  id: string;
  node: RunNode;
}

function Steps({ rows, preview }: { rows: Row[]; preview: (at: string) => void }) {
  const t = useText();
  const say = useServerText();
  return (
    <Table<Row>
      size="middle"
      rowKey="id"
      pagination={false}
      dataSource={rows}
      columns={[
        { title: t('studio.step'), dataIndex: 'id', render: (id: string) => <code className="break step-name">{id}</code> },
        { title: t('jobs.state'), key: 'state', render: (_, r) => <StateTag state={r.node.state} /> },
        {
          title: t('studio.why'),
          key: 'why',
          responsive: ['sm'],
          render: (_, r) => (
            <div className="break small">
              {r.node.error ? <span className="bad">{say(r.node.error.message)}</span> : r.node.text && !r.node.finished_at ? say(r.node.text) : r.node.cache ? say(r.node.cache.why) : ''}
              {(r.node.warnings ?? []).map((w) => (
                <div key={w} className="step-warning">
                  {say(w)}
                </div>
              ))}
            </div>
          ),
        },
        { title: t('jobs.time'), key: 'time', responsive: ['md'], className: 'nowrap', render: (_, r) => <Took from={r.node.started_at ?? null} to={r.node.finished_at ?? null} /> },
        {
          title: t('studio.outputs'),
          key: 'outputs',
          render: (_, r) => (
            <Flex gap={4} wrap>
              {Object.keys(r.node.outputs ?? {}).map((port) => (
                <Button key={port} size="small" onClick={() => preview(`${r.id}.${port}`)}>
                  {port}
                </Button>
              ))}
              {r.node.job && (
                <Button size="small" type="text" onClick={() => preview(`${r.id}.log`)}>
                  {t('studio.log')}
                </Button>
              )}
            </Flex>
          ),
        },
      ]}
    />
  );
}

export default function RunPage() {
  const t = useText();
  const { project = '', id = '' } = useParams();
  const { may } = useSession();
  const navigate = useNavigate();
  const confirm = useConfirm();
  const query = useRun(project, id);
  const [turn, setTurn] = useState(0);
  const live = useLiveRun(project, id, turn);
  const run = live ?? query.data ?? null;
  const modules = useModules(project);
  const version = useVersion(project, run?.pipeline ?? '', run?.version ?? null);
  const known = useMemo(() => modulesOf(modules.data ?? []), [modules.data]);
  const [at, setAt] = useParam('preview');
  const doc = version.data?.document;
  const mayRun = may('pipeline:run', project);
  const list = `/p/${encodeURIComponent(project)}/runs`;
  const rows = useMemo(() => {
    const layers = doc ? layersOf(doc) : new Map<string, number>();
    return Object.entries(run?.nodes ?? {})
      .map(([node, state]) => ({ id: node, node: state }))
      .sort((a, b) => (layers.get(a.id) ?? 0) - (layers.get(b.id) ?? 0));
  }, [run, doc]);
  if (query.error?.status === 404) {
    return <Missing title={t('studio.run_gone')} hint={t('studio.run_gone_hint')} extra={<LinkButton to={list}>{t('studio.runs')}</LinkButton>} />;
  }
  const measured = rows.filter((r) => Object.keys(r.node.metrics ?? {}).length > 0);
  const remove = () => confirm({ title: t('studio.delete_run_ask', { id }), consequence: t('studio.delete_run_what'), ok: t('action.delete'), run: async () => (await deleteRun(project, id), navigate(list)) });
  const url = runUrl(project, id);
  return (
    <>
      <PageHead
        title={t('studio.run_n', { id })}
        state={run ? t(`studio.state_${run.state}`) : undefined}
        crumbs={[{ name: project }, { name: t('nav.pipelines'), to: `/p/${encodeURIComponent(project)}/pipelines` }, ...(run ? [{ name: run.pipeline, to: pipelinePage(project, run.pipeline) }] : []), { name: t('studio.runs'), to: list }, { name: id }]}
        extra={run && <StateTag state={run.state} />}
        actions={
          run && (
            <>
              <RunActions project={project} run={run} may={mayRun} show={() => setTurn(turn + 1)} />
              {mayRun && isOver(run) && (
                <Button size="small" onClick={remove}>
                  {t('action.delete')}
                </Button>
              )}
            </>
          )
        }
        commands={[
          runsCommand(project, run?.pipeline ?? ''),
          ...(run && !isOver(run) ? [{ cli: `strata pipeline cancel ${id} -p ${project}`, method: 'POST', url: `${url}/cancel` }] : []),
        ]}
      />
      {query.error && <ErrorView error={query.error} retry={() => void query.refetch()} />}
      {!run && !query.error && <Skeleton active title={false} paragraph={{ rows: 8 }} />}
      {run && (
        <Flex vertical gap={16}>
          <p className="secondary run-facts">
            {t('studio.version_n', { n: run.version })} · {run.by} · <Ago at={run.created_at} /> · <Took from={run.started_at} to={run.finished_at} />
            {Object.entries(run.params ?? {}).map(([k, v]) => (
              <code key={k}>
                {k} = {String(v)}
              </code>
            ))}
          </p>
          {measured.map((r) => (
            <section key={r.id} aria-label={r.id}>
              <h2 className="panel-head mono">{doc?.nodes[r.id]?.title ?? r.id}</h2>
              <Metrics metrics={r.node.metrics ?? {}} />
            </section>
          ))}
          <Suspense fallback={<GraphWait />}>{!(doc && modules.data) ? version.error ? null : <GraphWait /> : <GraphView doc={doc} modules={known} run={run} onStep={(node) => setAt(`${node}.${Object.keys(run.nodes?.[node]?.outputs ?? {})[0] ?? 'log'}`)} />}</Suspense>
          <Steps rows={rows} preview={setAt} />
        </Flex>
      )}
      <PreviewDrawer project={project} run={run} at={at} go={setAt} />
    </>
  );
}
