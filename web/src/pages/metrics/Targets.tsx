// What is scraped, and how it went the last time.
import { CheckCircleOutlined, CloseCircleOutlined, QuestionCircleOutlined } from '@ant-design/icons';
import { Skeleton, Table, Tag } from 'antd';
import type { ReactNode } from 'react';
import { useTargets, type Target } from '../../api/metrics';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useText } from '../../i18n';
import { Said } from './Said';
import './metrics.css';

const ICONS: Record<Target['health'], ReactNode> = { up: <CheckCircleOutlined />, down: <CloseCircleOutlined />, unknown: <QuestionCircleOutlined /> };
const LEVELS = { up: 'ok', down: 'fail', unknown: 'warn' };
const ORDER = ['down', 'unknown', 'up'];

export default function Targets() {
  const t = useText();
  const targets = useTargets();
  const rows = [...(targets.data ?? [])].sort((a, b) => ORDER.indexOf(a.health) - ORDER.indexOf(b.health) || a.scrapePool.localeCompare(b.scrapePool) || a.scrapeUrl.localeCompare(b.scrapeUrl));
  const up = rows.filter((r) => r.health === 'up').length;
  return (
    <>
      <PageHead
        title={t('metrics.targets')}
        crumbs={[{ name: t('metrics.title'), to: '/monitoring' }, { name: t('metrics.targets') }]}
        commands={[{ cli: 'strata metrics targets', url: '/prometheus/api/v1/targets?state=active' }]}
        extra={targets.data && rows.length > 0 && <span className="secondary">{t('metrics.up_of', { up, all: rows.length })}</span>}
      />
      {targets.error ? (
        <ErrorView error={targets.error} retry={() => void targets.refetch()} />
      ) : !targets.data ? (
        <Skeleton active />
      ) : (
        <Table<Target>
          size="middle"
          rowKey={(r) => `${r.scrapePool} ${r.scrapeUrl} ${JSON.stringify(r.labels)}`}
          dataSource={rows}
          pagination={rows.length > 100 ? { pageSize: 100, showSizeChanger: false } : false}
          locale={{ emptyText: t('metrics.no_targets') }}
          columns={[
            {
              title: t('metrics.health'),
              dataIndex: 'health',
              width: 120,
              render: (health: Target['health']) => (
                <span className={`level level-${LEVELS[health]}`}>
                  {ICONS[health]} {t(`metrics.health_${health}`)}
                </span>
              ),
            },
            {
              title: t('metrics.target'),
              key: 'target',
              render: (_, r) => (
                <>
                  <span className="mono break">{r.scrapeUrl}</span>
                  {r.lastError && <Said text={r.lastError} />}
                  <div>
                    {Object.entries(r.labels).map(([k, v]) => (
                      <Tag key={k} className="mono">
                        {k}={v}
                      </Tag>
                    ))}
                  </div>
                </>
              ),
            },
            { title: t('metrics.job'), dataIndex: 'scrapePool', width: 160, responsive: ['md'] },
            { title: t('metrics.last_scrape'), key: 'last', width: 170, responsive: ['md'], render: (_, r) => (r.health === 'unknown' ? '–' : <Ago at={r.lastScrape} />) },
            { title: t('metrics.took'), key: 'took', width: 110, responsive: ['lg'], align: 'right', render: (_, r) => `${Math.round(r.lastScrapeDuration * 1000)} ms` },
          ]}
        />
      )}
    </>
  );
}
