// Two runs side by side: what they were started with, what came out, what the cache spared.
import { Flex, Skeleton, Table } from 'antd';
import { useMemo } from 'react';
import { Link, useParams } from 'react-router-dom';
import { runPage, useRun, useVersion, type Run, type RunNode } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';
import { refOf } from './graph/document';
import { Measure } from './parts/Measure';
import { runsCommand } from './runs/command';
import { compared, type Pair } from './runs/compared';
import { StateTag } from './parts/StateTag';
import { figure } from './preview/types';
import './studio.css';

const LONG = 120;

/** Programs and queries are values too: the beginning of one, and the whole of it on demand. */
function Value({ value }: { value: unknown }) {
  const text = figure(value);
  const first = (text.split('\n')[0] ?? '').slice(0, LONG);
  return first === text ? (
    <span className="break">{text}</span>
  ) : (
    <details className="whole-value">
      <summary className="break" title={text.slice(0, 2000)}>
        {first} …
      </summary>
      <pre tabIndex={0}>{text}</pre>
    </details>
  );
}

/** A figure of a step goes by its name, everything else by what stands in the document. */
function PairName({ name, isMeasure }: { name: string; isMeasure: boolean }) {
  const [step, code] = refOf(name);
  return isMeasure ? <Measure code={code} step={step} /> : <code className="break">{name}</code>;
}

interface PairsProps {
  title: string;
  rows: Pair[];
  runs: [Run, Run];
  areMeasures?: boolean;
}

function Pairs({ title, rows, runs, areMeasures = false }: PairsProps) {
  const t = useText();
  return rows.length === 0 ? null : (
    <section className="compared">
      <h2 className="panel-head">{title}</h2>
      <Table<Pair>
        size="middle"
        rowKey="name"
        pagination={false}
        tableLayout="fixed"
        scroll={{ x: 560 }}
        dataSource={rows}
        rowClassName={(r) => (figure(r.a) === figure(r.b) ? '' : 'differs')}
        columns={[
          { title: t('data.name'), dataIndex: 'name', width: '30%', render: (v: string) => <PairName name={v} isMeasure={areMeasures} /> },
          ...(['a', 'b'] as const).map((k, i) => ({ title: t('studio.run_n', { id: (runs[i] as Run).id }), dataIndex: k, render: (v: unknown) => <Value value={v} /> })),
          {
            title: t('studio.difference'),
            key: 'd',
            width: 110,
            render: (_: unknown, r: Pair) => (typeof r.a === 'number' && typeof r.b === 'number' ? <span className="number">{r.b > r.a ? '+' : ''}{figure(r.b - r.a)}</span> : figure(r.a) === figure(r.b) ? '' : '≠'),
          },
        ]}
      />
    </section>
  );
}

export default function Compare() {
  const t = useText();
  const say = useServerText();
  const { project = '' } = useParams();
  const [idA] = useParam('a');
  const [idB] = useParam('b');
  const a = useRun(project, idA);
  const b = useRun(project, idB);
  const docA = useVersion(project, a.data?.pipeline ?? '', a.data?.version ?? null);
  const docB = useVersion(project, b.data?.pipeline ?? '', b.data?.version ?? null);
  const whole = !docA.isLoading && !docB.isLoading; // parameters come with them, above the steps
  const rows = useMemo(() => {
    const wentBy = (n: RunNode) => [t(`studio.state_${n.state}`), n.cache?.why && say(n.cache.why)].filter(Boolean).join(' – ');
    return a.data && b.data && whole ? compared(a.data, b.data, docA.data?.document, docB.data?.document, wentBy) : null;
  }, [a.data, b.data, docA.data, docB.data, whole, t, say]);
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
          <Pairs title={t('studio.metrics')} rows={rows.metrics} runs={runs} areMeasures />
          <Pairs title={t('studio.params')} rows={rows.params} runs={runs} />
          <Pairs title={t('studio.steps')} rows={rows.steps} runs={runs} />
        </>
      )}
    </>
  );
}
