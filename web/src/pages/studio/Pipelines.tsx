// The pipelines of a project.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Empty, Flex, Space } from 'antd';
import { useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import { pipelinePage, pipelinesUrl, runPage, usePipelines, type PipelineRow } from '../../api/studio';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { LinkButton } from '../../components/LinkButton';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { quote } from '../../components/shell';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { NewPipeline } from './NewPipeline';
import { StateTag } from './parts/StateTag';
import './studio.css';

function Nothing({ project, mayWrite, isFiltered, start }: { project: string; mayWrite: boolean; isFiltered: boolean; start: (from: string) => void }) {
  const t = useText();
  return (
    <Empty
      image={Empty.PRESENTED_IMAGE_SIMPLE}
      description={
        isFiltered ? (
          t('studio.none_fit')
        ) : (
          <>
            <strong>{t('studio.none')}</strong>
            <br />
            {t(mayWrite ? 'studio.none_hint' : 'studio.none_guest')}
          </>
        )
      }
    >
      {!isFiltered && mayWrite && (
        <Space wrap>
          <Button type="primary" onClick={() => start('classify')}>
            {t('studio.sample_classify')}
          </Button>
          <Button onClick={() => start('empty')}>{t('studio.start_empty')}</Button>
          <LinkButton to={`/p/${encodeURIComponent(project)}/data`}>{t('nav.data')}</LinkButton>
        </Space>
      )}
    </Empty>
  );
}

export default function Pipelines() {
  const t = useText();
  const { project = '' } = useParams();
  const { may } = useSession();
  const [q] = useParam('q');
  const pages = usePipelines(project, q);
  const [making, setMaking] = useState<string | null>(null);
  const mayWrite = may('pipeline:write', project);
  const isEmpty = pages.data && pages.items.length === 0;
  return (
    <>
      <PageHead
        title={t('nav.pipelines')}
        crumbs={[{ name: project }]}
        actions={
          <>
            <LinkButton to={`/p/${encodeURIComponent(project)}/runs`}>{t('studio.runs')}</LinkButton>
            {mayWrite && (
              <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking('classify')}>
                {t('studio.new')}
              </Button>
            )}
          </>
        }
        commands={[{ cli: `strata pipeline list${q ? ` --filter ${quote(q)}` : ''} -p ${project}`, url: pipelinesUrl(project) + (q ? `?${new URLSearchParams({ q })}` : '') }]}
      />
      <Flex className="above-list">
        <FilterBox label={t('studio.filter')} />
      </Flex>
      {pages.error && <ErrorView error={pages.error} retry={() => void pages.refetch()} />}
      {isEmpty ? (
        <Nothing project={project} mayWrite={mayWrite} isFiltered={q !== ''} start={setMaking} />
      ) : (
        <PagedTable<PipelineRow>
          pages={pages}
          rowKey="name"
          columns={[
            {
              title: t('data.name'),
              key: 'name',
              render: (_, p) => (
                <Link to={pipelinePage(project, p.name)} className="cell-link">
                  {p.name}
                </Link>
              ),
            },
            {
              title: t('studio.last_run'),
              key: 'run',
              render: (_, p) =>
                p.last_run ? (
                  <Link to={runPage(project, p.last_run.id)}>
                    <StateTag state={p.last_run.state} />
                  </Link>
                ) : (
                  <span className="secondary">{t('time.never')}</span>
                ),
            },
            { title: t('studio.schedule'), key: 'schedule', responsive: ['md'], render: (_, p) => (p.schedule ? <code>{p.schedule.cron}</code> : <span className="secondary">–</span>) },
            { title: t('studio.version'), dataIndex: 'version', responsive: ['md'] },
            {
              title: t('studio.changed'),
              key: 'changed',
              responsive: ['sm'],
              render: (_, p) => (
                <>
                  <Ago at={p.updated_at} /> <span className="secondary small">{p.updated_by}</span>
                </>
              ),
            },
          ]}
        />
      )}
      {making !== null && <NewPipeline project={project} start={making} close={() => setMaking(null)} />}
    </>
  );
}
