// What strata doctor finds on this host, and how to mend it.
import { CheckCircleOutlined, CloseCircleOutlined, ToolOutlined, WarningOutlined } from '@ant-design/icons';
import { Alert, Button, Skeleton, Table } from 'antd';
import type { ReactNode } from 'react';
import { useHealth } from '../../api/queries';
import type { HealthRow } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';

const ICONS: Record<HealthRow['level'], ReactNode> = {
  ok: <CheckCircleOutlined />,
  mended: <ToolOutlined />,
  warn: <WarningOutlined />,
  fail: <CloseCircleOutlined />,
};
const ORDER: HealthRow['level'][] = ['fail', 'warn', 'mended', 'ok'];

export default function Health() {
  const t = useText();
  const health = useHealth(true);
  const rows = [...(health.data?.items ?? [])].sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
  const wrong = rows.filter((r) => r.level === 'warn' || r.level === 'fail').length;
  return (
    <>
      <PageHead
        title={t('admin.health')}
        commands={[{ cli: 'strata server health', url: '/api/v1/health' }]}
        actions={
          <Button loading={health.isFetching} onClick={() => void health.refetch()}>
            {t('admin.check_again')}
          </Button>
        }
      />
      {health.error ? (
        <ErrorView error={health.error} retry={() => void health.refetch()} />
      ) : !health.data ? (
        <Skeleton active paragraph={{ rows: 12 }} />
      ) : (
        <>
          <Alert className="summary" showIcon type={wrong ? 'warning' : 'success'} title={wrong ? t('admin.health_wrong', { n: wrong }) : t('admin.health_fine', { n: rows.length })} />
          <Table<HealthRow>
            rowKey="check"
            size="middle"
            dataSource={rows}
            pagination={false}
            columns={[
              {
                title: t('admin.state'),
                dataIndex: 'level',
                width: 110,
                render: (level: HealthRow['level']) => (
                  <span className={`level level-${level}`}>
                    {ICONS[level]} {t(`admin.level_${level}`)}
                  </span>
                ),
              },
              { title: t('admin.check'), dataIndex: 'check', width: 170, responsive: ['md'] },
              {
                title: t('admin.found'),
                key: 'found',
                render: (_, r) => (
                  <>
                    <strong className="narrow-line">{r.check}</strong>
                    <span className="break">{r.found}</span>
                    {r.mend && (
                      <div className="mend">
                        <strong>{t('admin.mend')}</strong> {r.mend}
                      </div>
                    )}
                  </>
                ),
              },
            ]}
          />
        </>
      )}
    </>
  );
}
