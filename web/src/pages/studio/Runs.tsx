// The runs of a project, newest first; two of them can be compared.
import { Button, Empty, Flex } from 'antd';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router-dom';
import { pipelinePage, runPage, useRuns, type Run, type RunState } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { LinkButton } from '../../components/LinkButton';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago, Took } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { runsCommand } from './runs/command';
import { StateTag } from './parts/StateTag';
import './studio.css';

const STATES: RunState[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];

export default function Runs() {
  const t = useText();
  const navigate = useNavigate();
  const { project = '' } = useParams();
  const [q] = useParam('q');
  const [state, setState] = useParam('state');
  const [pipeline, setPipeline] = useParam('pipeline');
  const [chosen, setChosen] = useState<string[]>([]);
  const pages = useRuns(project, { pipeline, state, q });
  const list = `/p/${encodeURIComponent(project)}/pipelines`;
  const isFiltered = Boolean(pipeline || state || q);
  return (
    <>
      <PageHead
        title={t('studio.runs')}
        crumbs={[{ name: project }, { name: t('nav.pipelines'), to: list }, { name: t('studio.runs') }]}
        actions={
          <Button disabled={chosen.length !== 2} onClick={() => navigate(`/p/${encodeURIComponent(project)}/runs/compare?a=${chosen[0]}&b=${chosen[1]}`)}>
            {t('studio.compare')}
          </Button>
        }
        commands={[runsCommand(project, pipeline, { state, q })]}
      />
      <Flex gap={12} wrap align="center" className="above-list">
        <FilterBox label={t('studio.filter_runs')} />
        <Flex gap={4} wrap role="group" aria-label={t('jobs.filter_state')}>
          <button type="button" className="chip" aria-pressed={state === ''} onClick={() => setState('')}>
            {t('jobs.all')}
          </button>
          {STATES.map((s) => (
            <button type="button" key={s} className="chip" aria-pressed={state === s} onClick={() => setState(s)}>
              {t(`studio.state_${s}`)}
            </button>
          ))}
        </Flex>
        {pipeline && (
          <button type="button" className="chip" aria-pressed onClick={() => setPipeline('')}>
            {pipeline} ×
          </button>
        )}
      </Flex>
      {pages.error && <ErrorView error={pages.error} retry={() => void pages.refetch()} />}
      {pages.data && pages.items.length === 0 ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t(isFiltered ? 'studio.no_runs_fit' : 'studio.no_runs')}>
          <LinkButton to={list}>{t('nav.pipelines')}</LinkButton>
        </Empty>
      ) : (
        <PagedTable<Run>
          pages={pages}
          rowKey={(r) => String(r.id)}
          rowSelection={{
            selectedRowKeys: chosen,
            columnTitle: <span className="sr-only">{t('studio.compare')}</span>,
            onChange: (keys) => setChosen(keys.map(String).slice(-2)),
            getCheckboxProps: (r) => ({ 'aria-label': t('studio.choose_run', { id: r.id }) }) as object,
          }}
          columns={[
            {
              title: t('studio.run_word'),
              key: 'id',
              render: (_, r) => <Link to={runPage(project, r.id)}>{r.id}</Link>,
            },
            { title: t('studio.pipeline'), key: 'pipeline', render: (_, r) => <Link to={pipelinePage(project, r.pipeline)} className="cell-link">{r.pipeline}</Link> },
            { title: t('jobs.state'), key: 'state', render: (_, r) => <StateTag state={r.state} /> },
            { title: t('jobs.time'), key: 'time', responsive: ['sm'], render: (_, r) => <Took from={r.started_at} to={r.finished_at} /> },
            { title: t('jobs.user'), dataIndex: 'by', responsive: ['md'] },
            { title: t('jobs.created'), key: 'created', responsive: ['md'], render: (_, r) => <Ago at={r.created_at} /> },
          ]}
        />
      )}
    </>
  );
}
