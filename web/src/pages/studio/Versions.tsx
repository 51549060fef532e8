// The versions of a pipeline, and what changed between two of them: in the graph and in words.
import { Flex, Select, Skeleton, Table, Tag } from 'antd';
import { lazy, Suspense, useMemo } from 'react';
import { useParams } from 'react-router-dom';
import { pipelinePage, pipelineUrl, useModules, useVersion, useVersions, type Doc } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { quote } from '../../components/shell';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { diff, diffHead, union, type Change } from './graph/diff';
import { modulesOf } from './graph/document';
import { GraphWait } from './parts/GraphWait';
import './studio.css';

const GraphView = lazy(() => import('./GraphView'));

function Changes({ changes }: { changes: Change[] }) {
  return (
    <ul className="plain">
      {changes.map((c) => (
        <li key={c.what}>
          <code>{c.what}</code> {c.before !== null && <del className="break">{c.before}</del>} {c.after !== null && <ins className="break">{c.after}</ins>}
        </li>
      ))}
    </ul>
  );
}

const TONES = { added: 'success', removed: 'error', changed: 'warning', same: 'default' } as const;

function Differences({ project, before, after }: { project: string; before: Doc; after: Doc }) {
  const t = useText();
  const modules = useModules(project);
  const all = useMemo(() => diff(before, after), [before, after]);
  const head = useMemo(() => diffHead(before, after), [before, after]);
  const both = useMemo(() => union(before, after), [before, after]);
  const marks = useMemo(() => Object.fromEntries(all.map((d) => [d.id, d.kind])), [all]);
  const known = useMemo(() => modulesOf(modules.data ?? []), [modules.data]);
  const differing = all.filter((d) => d.kind !== 'same');
  return (
    <>
      {head.length > 0 && <Changes changes={head} />}
      <Suspense fallback={<GraphWait />}>{modules.data ? <GraphView doc={both} modules={known} marks={marks} /> : <GraphWait />}</Suspense>
      <Table
        size="middle"
        rowKey="id"
        pagination={false}
        dataSource={differing}
        locale={{ emptyText: t('studio.no_difference') }}
        columns={[
          { title: t('studio.step'), dataIndex: 'id', render: (id: string) => <code>{id}</code> },
          { title: t('studio.difference'), dataIndex: 'kind', render: (k: keyof typeof TONES) => <Tag color={TONES[k]}>{t(`studio.diff_${k}`)}</Tag> },
          { title: t('studio.what_changed'), dataIndex: 'changes', render: (c: Change[]) => <Changes changes={c} /> },
        ]}
      />
    </>
  );
}

export default function Versions() {
  const t = useText();
  const { project = '', name = '' } = useParams();
  const list = useVersions(project, name);
  const newest = list.items[0]?.version ?? null;
  const [aParam, setA] = useParam('a');
  const [bParam, setB] = useParam('b');
  const b = Number(bParam) || newest;
  const a = Number(aParam) || (b !== null && b > 1 ? b - 1 : b);
  const before = useVersion(project, name, a);
  const after = useVersion(project, name, b);
  const options = list.items.map((v) => ({ value: v.version, label: `${t('studio.version_n', { n: v.version })} – ${v.updated_by}` }));
  const url = `${pipelineUrl(project, name)}/versions`;
  const error = list.error ?? before.error ?? after.error;
  const page = `/p/${encodeURIComponent(project)}/pipelines`;
  return (
    <>
      <PageHead
        title={t('studio.versions_of', { name })}
        crumbs={[{ name: project }, { name: t('nav.pipelines'), to: page }, { name, to: pipelinePage(project, name) }, { name: t('studio.versions') }]}
        commands={[{ cli: `strata pipeline get ${quote(name)} --version ${b ?? 1} -p ${project}`, url: `${url}/${b ?? 1}` }]}
      />
      <Flex gap={12} wrap align="center" className="above-list">
        <Select className="choose-version" aria-label={t('studio.before')} value={a ?? undefined} options={options} onChange={(v: number) => setA(String(v))} />
        →
        <Select className="choose-version" aria-label={t('studio.after')} value={b ?? undefined} options={options} onChange={(v: number) => setB(String(v))} />
      </Flex>
      {error && <ErrorView error={error} retry={() => void list.refetch()} />}
      {before.data?.document && after.data?.document ? <Differences project={project} before={before.data.document} after={after.data.document} /> : !error && <Skeleton active title={false} paragraph={{ rows: 8 }} />}
    </>
  );
}
