// The machines that run jobs: what they have, what is taken.
import { Card, Col, Empty, Flex, Progress, Row, Tag, Typography } from 'antd';
import { useNodes, useQueue } from '../../api/queries';
import type { Node } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { bytes, cpus } from '../../components/format';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';

function Amount({ label, free, all, show }: { label: string; free: number; all: number; show: (n: number) => string }) {
  const t = useText();
  const used = all > 0 ? Math.round((100 * (all - free)) / all) : 0;
  return (
    <div>
      <Flex justify="space-between" gap={8}>
        <strong>{label}</strong>
        <span className="secondary">{all > 0 ? t('overview.of', { free: show(free), all: show(all) }) : t('overview.no_gpu')}</span>
      </Flex>
      {all > 0 && <Progress percent={used} size="small" format={(n) => t('admin.used', { n: n ?? 0 })} aria-label={label} />}
    </div>
  );
}

function NodeCard({ node }: { node: Node }) {
  const t = useText();
  return (
    <Card title={<span className="break">{node.name}</span>} extra={<Tag className={`state state-${node.state === 'ready' ? 'good' : 'waiting'}`}>{node.state}</Tag>}>
      <Flex vertical gap={14}>
        <Amount label={t('overview.cpu')} free={node.cpu_milli_free} all={node.cpu_milli} show={cpus} />
        <Amount label={t('overview.memory')} free={node.memory_bytes_free} all={node.memory_bytes} show={bytes} />
        <Amount label={t('overview.gpu')} free={node.gpus_free} all={node.gpus} show={String} />
        <Typography.Text type="secondary">{t('admin.arch', { arch: node.arch })}</Typography.Text>
      </Flex>
    </Card>
  );
}

export default function Nodes() {
  const t = useText();
  const nodes = useNodes();
  const queue = useQueue().data;
  return (
    <>
      <PageHead
        title={t('admin.nodes')}
        commands={[{ cli: 'strata node list', url: '/api/v1/nodes' }]}
        extra={queue && <span className="secondary">{t('admin.queue_now', { running: queue.running, queued: queue.queued })}</span>}
      />
      {nodes.error && <ErrorView error={nodes.error} retry={() => void nodes.refetch()} />}
      {nodes.data?.items.length === 0 && <Empty description={t('admin.no_nodes')} />}
      <Row gutter={[16, 16]}>
        {nodes.data?.items.map((n) => (
          <Col key={n.name} xs={24} md={12} xl={8}>
            <NodeCard node={n} />
          </Col>
        ))}
      </Row>
    </>
  );
}
