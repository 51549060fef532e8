// The jobs of a project: filters in the address, rows as one scrolls, and what can be done with many at once.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Empty, Flex, Spin } from 'antd';
import { useEffect, useMemo, useState } from 'react';
import { useParams, useSearchParams } from 'react-router-dom';
import { jobsUrl, useJobList } from '../../api/jobs';
import { useSession } from '../../app/session';
import { FilterBox } from '../../components/FilterBox';
import { ErrorView } from '../../components/ErrorView';
import { LinkButton } from '../../components/LinkButton';
import { PageHead } from '../../components/PageHead';
import { quote } from '../../components/shell';
import { useText } from '../../i18n';
import './jobs.css';
import { BulkBar } from './list/BulkBar';
import { STATES, statesOf } from './list/filter';
import { JobTable } from './list/JobTable';
import { useParam } from './params';

function StateFilter({ value, onChange }: { value: string; onChange: (v: string) => void }) {
  const t = useText();
  const chosen = statesOf(value);
  const toggle = (state: (typeof STATES)[number]) =>
    onChange(STATES.filter((s) => (s === state) !== chosen.includes(s)).join(','));
  return (
    <Flex gap={4} wrap role="group" aria-label={t('jobs.filter_state')}>
      <button type="button" className="chip" aria-pressed={chosen.length === 0} onClick={() => onChange('')}>
        {t('jobs.all')}
      </button>
      {STATES.map((s) => (
        <button type="button" key={s} className="chip" aria-pressed={chosen.includes(s)} onClick={() => toggle(s)}>
          {t(`state.${s}`)}
        </button>
      ))}
    </Flex>
  );
}

function NoJobs({ project, isFiltered, clear }: { project: string; isFiltered: boolean; clear: () => void }) {
  const t = useText();
  const { may } = useSession();
  return (
    <Empty
      image={Empty.PRESENTED_IMAGE_SIMPLE}
      description={
        isFiltered ? (
          t('jobs.none_fit')
        ) : (
          <>
            <strong>{t('jobs.none')}</strong>
            <br />
            {may('job:submit', project) ? t('jobs.none_hint') : t('jobs.none_guest')}
          </>
        )
      }
    >
      {isFiltered ? <Button onClick={clear}>{t('jobs.clear_filter')}</Button> : <Submit project={project} />}
    </Empty>
  );
}

function Submit({ project }: { project: string }) {
  const t = useText();
  const { may } = useSession();
  return may('job:submit', project) ? (
    <LinkButton type="primary" icon={<PlusOutlined />} to={`/p/${encodeURIComponent(project)}/jobs/new`}>
      {t('jobs.submit')}
    </LinkButton>
  ) : null;
}

export default function JobList() {
  const t = useText();
  const { project = '' } = useParams();
  const [state, setState] = useParam('state', { push: true });
  const [q] = useParam('q');
  const [, setParams] = useSearchParams();
  const states = statesOf(state).join(',');
  const list = useJobList(project, { states, q });
  const { items, hasMore, isLoadingMore, more } = list;
  const [selected, setSelected] = useState<string[]>([]);
  const chosen = useMemo(() => items.filter((j) => selected.includes(j.id)), [items, selected]);
  useEffect(() => setSelected([]), [project, states, q]);
  const isEmpty = list.data && items.length === 0;
  return (
    <>
      <PageHead
        title={t('nav.jobs')}
        crumbs={[{ name: project }]}
        actions={<Submit project={project} />}
        commands={[{ cli: `strata job list${states ? ` --state ${states}` : ''}${q ? ` --filter ${quote(q)}` : ''} -p ${project}`, url: jobsUrl(project) + (states || q ? `?${new URLSearchParams({ ...(states && { state: states }), ...(q && { q }) })}` : '') }]}
      />
      <Flex gap={12} wrap align="center" style={{ marginBottom: 12 }}>
        <FilterBox className="job-search" label={t('jobs.filter_text')} />
        <StateFilter value={state} onChange={setState} />
      </Flex>
      <BulkBar project={project} selected={chosen} clear={() => setSelected([])} />
      {list.error && <ErrorView error={list.error} retry={() => void list.refetch()} />}
      {isEmpty ? (
        <NoJobs
          project={project}
          isFiltered={states !== '' || q !== ''}
          clear={() => setParams({})}
        />
      ) : (
        <JobTable
          project={project}
          rows={items}
          isLoading={list.isPending || list.isPlaceholderData}
          selected={selected}
          select={setSelected}
          onEnd={() => hasMore && void more().catch(() => undefined)}
        />
      )}
      {list.data && (
        <Flex gap={8} align="center" className="secondary table-foot">
          <span role="status">
            {t('jobs.count', { n: items.length })}
            {hasMore && ` · ${t('jobs.count_more')}`}
          </span>
          {isLoadingMore && <Spin size="small" />}
        </Flex>
      )}
    </>
  );
}
