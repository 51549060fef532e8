// Two runs side by side: what they were started with, what came out, what the cache spared.
import { Flex, Skeleton, Table } from 'antd';
import { useMemo } from 'react';
import { Link, useParams } from 'react-router-dom';
import { runPage, useRun, useVersion, type Run } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { runsCommand } from './runs/command';
import { compared, type Pair } from './runs/compared';
import { StateTag } from './parts/StateTag';
import { figure } from './preview/types';
import './studio.css';

function Pairs({ title, rows, runs }: { title: string; rows: Pair[]; runs: [Run, Run] }) {
  const t = useText();
  return rows.length === 0 ? null : (
    <section>
      <h2 className="panel-head">{title}</h2>
      <Table<Pair>
        size="middle"
        rowKey="name"
        pagination={false}
        dataSource={rows}
        rowClassName={(r) => (figure(r.a) === figure(r.b) ? '' : 'differs')}
        columns={[
          { title: t('data.name'), dataIndex: 'name', render: (v: string) => <code className="break">{v}</code> },
          ...(['a', 'b'] as const).map((k, i) => ({ title: t('studio.run_n', { id: (runs[i] as Run).id }), dataIndex: k, render: (v: unknown) => <span className="break">{figure(v)}</span> })),
          {
            title: t('studio.difference'),
            key: 'd',
            render: (_: unknown, r: Pair) => (typeof r.a === 'number' && typeof r.b === 'number' ? <span className="number">{r.b > r.a ? '+' : ''}{figure(r.b - r.a)}</span> : figure(r.a) === figure(r.b) ? '' : '≠'),
          },
        ]}
      />
    </section>
  );
}

export default function Compare() {
  const t = useText();
  const { project = '' } = useParams();
  const [idA] = useParam('a');
  const [idB] = useParam('b');
  const a = useRun(project, idA);
  const b = useRun(project, idB);
  const docA = useVersion(project, a.data?.pipeline ?? '', a.data?.version ?? null);
  const docB = useVersion(project, b.data?.pipeline ?? '', b.data?.version ?? null);
  const whole = !docA.isLoading && !docB.isLoading; // parameters come with them, above the steps
  const rows = useMemo(() => (a.data && b.data && whole ? compared(a.data, b.data, docA.data?.document, docB.data?.document) : null), [a.data, b.data, docA.data, docB.data, whole]);
  const list = `/p/${encodeURIComponent(project)}/runs`;
  const error = a.error ?? b.error;
  const runs: [Run, Run] | null = a.data && b.data ? [a.data, b.data] : null;
  return (
    <>
      <PageHead
        title={t('studio.compare_title', { a: idA, b: idB })}
        crumbs={[{ name: project }, { name: t('nav.pipelines'), to: `/p/${encodeURIComponent(project)}/pipelines` }, { name: t('studio.runs'), to: list }, { name: t('studio.compare') }]}
        commands={[runsCommand(project, a.data?.pipeline ?? '')]}
      />
      {error && <ErrorView error={error} retry={() => (void a.refetch(), void b.refetch())} />}
      {!error && !(runs && rows) && <Skeleton active title={false} paragraph={{ rows: 8 }} />}
      {runs && rows && (
        <>
          <Flex gap={24} wrap className="above-list">
            {runs.map((r) => (
              <Flex key={r.id} gap={8} align="center">
                <Link to={runPage(project, r.id)}>{t('studio.run_n', { id: r.id })}</Link> <span className="secondary">
                  {r.pipeline} · {t('studio.version_n', { n: r.version })}
                </span>
                <StateTag state={r.state} />
              </Flex>
            ))}
          </Flex>
          <Pairs title={t('studio.metrics')} rows={rows.metrics} runs={runs} />
          <Pairs title={t('studio.params')} rows={rows.params} runs={runs} />
          <Pairs title={t('studio.steps')} rows={rows.steps} runs={runs} />
        </>
      )}
    </>
  );
}
