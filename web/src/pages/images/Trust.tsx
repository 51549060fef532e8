// What is known about an image: who signed it, what belongs to it, what a scanner found.
import { Alert, Button, Card, Flex, Select, Table, Tag, Typography } from 'antd';
import { useEffect, useState } from 'react';
import { queryClient } from '../../api/queries';
import { scan, SEVERITIES, stopScan, useAccessories, useFindings, useTrust, type Severity } from '../../api/trust';
import type { Accessory, ImageTrust, Vulnerability } from '../../api/types';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { PagedTable } from '../../components/PagedTable';
import { Ago } from '../../components/time';
import { useText } from '../../i18n';
import { serverText } from '../../i18n/server';
import { Digest } from './Digest';

export interface OfImage {
  project: string;
  repository: string;
  reference: string;
}

const LOOK_MS = 2000;

function Signer({ trust }: { trust: ImageTrust }) {
  const t = useText();
  return (
    <Flex vertical gap={12} align="start">
      {trust.signed_by ? <Tag color="success">{t('trust.signed', { name: trust.signed_by })}</Tag> : <Tag>{t('trust.unsigned')}</Tag>}
      {trust.pull_refused && <Alert type="warning" showIcon message={t('trust.pull_refused')} description={serverText(trust.pull_refused)} />}
      {trust.run_refused && trust.run_refused !== trust.pull_refused && (
        <Alert type="warning" showIcon message={t('trust.run_refused')} description={serverText(trust.run_refused)} />
      )}
    </Flex>
  );
}

function Accessories({ of }: { of: OfImage }) {
  const t = useText();
  const list = useAccessories(of.project, of.repository, of.reference);
  return list.error ? (
    <ErrorView error={list.error} retry={() => void list.refetch()} />
  ) : (
    <Table<Accessory>
      rowKey="digest"
      size="small"
      showHeader={!!list.data?.items.length}
      scroll={list.data?.items.length ? { x: 560 } : undefined}
      loading={list.isLoading}
      dataSource={list.data?.items ?? []}
      pagination={{ pageSize: 10, hideOnSinglePage: true, showSizeChanger: false }}
      locale={{ emptyText: t('trust.no_accessories') }}
      columns={[
        { title: t('trust.kind'), dataIndex: 'kind', render: (k: Accessory['kind']) => t(`trust.kind.${k}`) },
        { title: t('trust.verified'), dataIndex: 'verified_by', render: (n: string | null) => (n ? <Tag color="success">{n}</Tag> : '–') },
        { title: t('images.digest'), dataIndex: 'digest', render: (d: string) => <Digest digest={d} /> },
        { title: t('trust.size'), dataIndex: 'size_bytes', render: (n: number) => bytes(n) },
        { title: t('trust.pushed'), dataIndex: 'pushed_at', render: (at: string) => <Ago at={at} /> },
        { title: t('trust.pushed_by'), dataIndex: 'pushed_by', render: (who: string | null) => <span className="break">{who ?? '–'}</span> },
      ]}
    />
  );
}

function Findings({ of }: { of: OfImage }) {
  const t = useText();
  const [severity, setSeverity] = useState<Severity>('unknown');
  const findings = useFindings(of.project, of.repository, of.reference, severity, '');
  return (
    <Flex vertical gap={12}>
      <Flex gap={8} align="center" wrap>
        <label htmlFor="severity">{t('trust.at_least')}</label>
        <Select<Severity> id="severity" className="severity-select" value={severity} onChange={setSeverity} options={SEVERITIES.map((s) => ({ value: s, label: t(`trust.severity.${s}`) }))} />
      </Flex>
      {findings.error ? (
        <ErrorView error={findings.error} retry={() => void findings.refetch()} />
      ) : (
        <PagedTable<Vulnerability>
          pages={findings}
          rowKey={(f) => `${f.id} ${f.package} ${f.version} ${f.title}`}
          size="small"
          minWidth={560}
          locale={{ emptyText: t('trust.no_findings') }}
          columns={[
            { title: t('trust.severity'), dataIndex: 'severity', render: (s: Severity) => t(`trust.severity.${s}`) },
            {
              title: t('trust.id'),
              dataIndex: 'id',
              render: (id: string, f) =>
                f.link ? (
                  <Typography.Link href={f.link} target="_blank" rel="noreferrer noopener">
                    {id}
                  </Typography.Link>
                ) : (
                  id
                ),
            },
            { title: t('trust.package'), key: 'package', render: (_, f) => <span className="break">{`${f.package} ${f.version}`}</span> },
            { title: t('trust.fixed'), dataIndex: 'fixed_version', render: (v: string) => <span className="break">{v || '–'}</span> },
          ]}
        />
      )}
    </Flex>
  );
}

function Scan({ of, trust }: { of: OfImage; trust: ImageTrust }) {
  const t = useText();
  const { may } = useSession();
  const [error, setError] = useState<unknown>(null);
  const isScanning = trust.scan !== null && trust.scan.ended_at === null;
  const { project, repository } = of;
  useEffect(() => {
    if (!isScanning) {
      return;
    }
    const timer = setInterval(() => void queryClient.invalidateQueries({ queryKey: ['images', project, repository] }), LOOK_MS);
    return () => clearInterval(timer);
  }, [isScanning, project, repository]);
  const start = () => {
    setError(null);
    scan(of.project, of.repository, of.reference).catch(setError);
  };
  const stop = () => {
    setError(null);
    stopScan(of.project, of.repository, of.reference).catch(setError);
  };
  return (
    <Flex vertical gap={8} align="start">
      {may('image:push', of.project) && (
        <Flex gap={8}>
          <Button size="small" onClick={start} loading={isScanning}>
            {t(isScanning ? 'trust.scanning' : 'trust.scan')}
          </Button>
          {isScanning && (
            <Button size="small" onClick={stop}>
              {t('trust.scan_stop')}
            </Button>
          )}
        </Flex>
      )}
      {trust.scan?.state === 'stopped' && <Typography.Text type="secondary">{t('trust.scan_stopped')}</Typography.Text>}
      {trust.scan?.state === 'failed' && <Alert type="error" showIcon message={t('trust.scan_failed')} description={serverText(trust.scan.error ?? '')} />}
      {error !== null && <ErrorView error={error} />}
    </Flex>
  );
}

/** Whether the image may be used, and why not. */
export function Trust({ of }: { of: OfImage }) {
  const t = useText();
  const trust = useTrust(of.project, of.repository, of.reference);
  return trust.error ? (
    <ErrorView error={trust.error} retry={() => void trust.refetch()} />
  ) : (
    <Card title={t('trust.title')} loading={!trust.data}>
      {trust.data && <Signer trust={trust.data} />}
    </Card>
  );
}

/** What belongs to the image, and what was found in it. */
export function Known({ of }: { of: OfImage }) {
  const t = useText();
  const trust = useTrust(of.project, of.repository, of.reference);
  if (!trust.data) {
    return trust.error ? null : <Card loading title={t('trust.findings')} />;
  }
  const { report } = trust.data;
  return (
    <>
      <Card title={t('trust.accessories')} className="flush">
        <Accessories of={of} />
      </Card>
      <Card title={t('trust.findings')}>
        <Flex vertical gap={12}>
          {report ? (
            <Typography.Text type="secondary">
              {t('trust.report', { tool: report.tool || report.format, who: report.created_by })} · <Ago at={report.created_at} />
            </Typography.Text>
          ) : (
            <Typography.Text type="secondary">{t('trust.no_report')}</Typography.Text>
          )}
          <Scan of={of} trust={trust.data} />
          {report && <Findings of={of} />}
        </Flex>
      </Card>
    </>
  );
}
