// The jobs of a project: filters in the address, rows as one scrolls, and what can be done with many at once.
import { PlusOutlined, SearchOutlined } from '@ant-design/icons';
import { Button, Empty, Flex, Input } from 'antd';
import { useDeferredValue, useEffect, useMemo, useState } from 'react';
import { useParams } from 'react-router-dom';
import { jobsUrl, useJobList } from '../../api/jobs';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { LinkButton } from '../../components/LinkButton';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';
import './jobs.css';
import { BulkBar } from './list/BulkBar';
import { matches, STATES, statesOf } from './list/filter';
import { JobTable } from './list/JobTable';
import { useParam, useTypedParam } from './params';

const LOOK_THROUGH = 5000; // rows that a filter by words reads on its own

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
  const [typed, setTyped] = useTypedParam('q');
  const states = statesOf(state).join(',');
  const list = useJobList(project, states);
  const { items, hasMore, isLoadingMore, more } = list;
  const wanted = useDeferredValue(typed); // typing goes before drawing
  const rows = useMemo(() => items.filter((j) => matches(j, wanted)), [items, wanted]);
  const [selected, setSelected] = useState<string[]>([]);
  const chosen = useMemo(() => items.filter((j) => selected.includes(j.id)), [items, selected]);
  useEffect(() => setSelected([]), [project, states]);

  // A filter by words has to see rows to find some: it reads on until it has a screen full.
  const wantsMore = typed !== '' && rows.length < 50 && hasMore && items.length < LOOK_THROUGH;
  useEffect(() => {
    if (wantsMore && !isLoadingMore) {
      void more().catch(() => undefined);
    }
  }, [wantsMore, isLoadingMore, more, items.length]);

  const isEmpty = list.data && rows.length === 0 && !wantsMore;
  return (
    <>
      <PageHead
        title={t('nav.jobs')}
        crumbs={[{ name: project }]}
        actions={<Submit project={project} />}
        commands={[{ cli: `strata job list${states ? ` --state ${states}` : ''} -p ${project}`, url: jobsUrl(project) + (states ? `?state=${states}` : '') }]}
      />
      <Flex gap={12} wrap align="center" style={{ marginBottom: 12 }}>
        <Input
          className="job-search"
          allowClear
          prefix={<SearchOutlined aria-hidden />}
          value={typed}
          onChange={(e) => setTyped(e.target.value)}
          placeholder={t('jobs.filter_text')}
          aria-label={t('jobs.filter_text')}
        />
        <StateFilter value={state} onChange={setState} />
      </Flex>
      <BulkBar project={project} selected={chosen} clear={() => setSelected([])} />
      {list.error && <ErrorView error={list.error} retry={() => void list.refetch()} />}
      {isEmpty && !(typed && hasMore) ? (
        <NoJobs
          project={project}
          isFiltered={states !== '' || typed !== ''}
          clear={() => {
            setTyped('');
            setState('');
          }}
        />
      ) : (
        <JobTable
          project={project}
          rows={rows}
          isLoading={list.isPending || isLoadingMore || wantsMore}
          selected={selected}
          select={setSelected}
          onEnd={() => hasMore && void more().catch(() => undefined)}
        />
      )}
      {list.data && (
        <Flex gap={8} align="center" className="secondary table-foot">
          <span role="status">
            {typed ? t('jobs.count_of', { n: rows.length, all: items.length }) : t('jobs.count', { n: items.length })}
            {hasMore && ` · ${t('jobs.count_more')}`}
          </span>
          {hasMore && typed && (
            <Button size="small" loading={isLoadingMore} onClick={() => void more()}>
              {t('jobs.look_further')}
            </Button>
          )}
        </Flex>
      )}
    </>
  );
}
