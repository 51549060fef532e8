// What a webhook sent and is about to send, each with its body and the answer, and sending one again.
import { App, Button, Descriptions, Drawer, Skeleton, Tag } from 'antd';
import { useState } from 'react';
import { pingWebhook, redeliver, useDeliveries, useDelivery } from '../../../api/imageRules';
import type { Webhook, WebhookDelivery } from '../../../api/types';
import { ErrorView } from '../../../components/ErrorView';
import { bytes, duration } from '../../../components/format';
import { PagedTable } from '../../../components/PagedTable';
import { Ago } from '../../../components/time';
import { useServerText, useText } from '../../../i18n';

const TONES = { waiting: 'active', sent: 'good', failed: 'bad', cancelled: 'waiting' } as const;

function State({ delivery }: { delivery: WebhookDelivery }) {
  const t = useText();
  return (
    <Tag className={`state state-${TONES[delivery.state]}`}>
      {t(`hook.state_${delivery.state}`)}
      {delivery.status !== null && ` ${delivery.status}`}
    </Tag>
  );
}

/** The body as sent, with line breaks where it is JSON. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Delivery({ project, hook, id }: { project: string; hook: number; id: number }) {
  const t = useText();
  const say = useServerText();
  const delivery = useDelivery(project, hook, id);
  if (delivery.error) {
    return <ErrorView error={delivery.error} />;
  }
  if (!delivery.data) {
    return <Skeleton active title={false} />;
  }
  const d = delivery.data;
  return (
    <>
      <Descriptions
        column={1}
        size="small"
        items={[
          { key: 'id', label: 'X-Request-Id', children: <span className="mono break">{d.request_id}</span> },
          { key: 'tries', label: t('hook.tries'), children: d.attempts },
          ...(d.status !== null ? [{ key: 'status', label: t('hook.answer'), children: d.status }] : []),
          ...(d.error ? [{ key: 'error', label: t('hook.error'), children: <span className="break">{say(d.error)}</span> }] : []),
          ...(d.duration_ms !== null ? [{ key: 'took', label: t('hook.took'), children: duration(d.duration_ms) }] : []),
          { key: 'size', label: t('images.size'), children: bytes(d.payload_bytes) },
        ]}
      />
      <pre className="mono raw" tabIndex={0} aria-label={t('hook.payload')}>
        {pretty(d.payload)}
      </pre>
    </>
  );
}

export function Deliveries({ project, hook, close }: { project: string; hook: Webhook; close: () => void }) {
  const t = useText();
  const { modal } = App.useApp();
  const deliveries = useDeliveries(project, hook.id);
  const [open, setOpen] = useState<readonly number[]>([]);
  const send = (title: string, work: () => Promise<{ id: number }>) =>
    void work().then(
      (sent) => setOpen([sent.id]),
      (error: unknown) => void modal.error({ icon: null, title, content: <ErrorView error={error} />, okText: t('action.close') }),
    );
  return (
    <Drawer
      open
      size={760}
      title={t('hook.log_of', { name: hook.name })}
      onClose={close}
      extra={
        <Button disabled={!hook.enabled} onClick={() => send(t('hook.ping'), () => pingWebhook(project, hook.id))}>
          {t('hook.ping')}
        </Button>
      }
    >
      {deliveries.error ? (
        <ErrorView error={deliveries.error} retry={() => void deliveries.refetch()} />
      ) : (
        <PagedTable<WebhookDelivery>
          rowKey="id"
          size="small"
          tableLayout="fixed"
          pages={deliveries}
          locale={{ emptyText: t('hook.nothing_sent') }}
          expandable={{
            columnTitle: <span className="sr-only">{t('hook.payload')}</span>,
            expandedRowKeys: open,
            onExpandedRowsChange: (keys) => setOpen(keys.map(Number)),
            expandedRowRender: (d) => <Delivery project={project} hook={hook.id} id={d.id} />,
          }}
          columns={[
            {
              title: t('hook.event'),
              dataIndex: 'event',
              render: (event: WebhookDelivery['event'], d) => (
                <>
                  {t(`hook.event_${event}`)}
                  <div className="secondary narrow-line">
                    <Ago at={d.created_at} />
                  </div>
                </>
              ),
            },
            { title: t('repl.state'), key: 'state', render: (_, d) => <State delivery={d} /> },
            { title: t('hook.at'), dataIndex: 'created_at', responsive: ['md'], render: (at: string) => <Ago at={at} /> },
            {
              title: <span className="sr-only">{t('repl.actions_head')}</span>,
              key: 'again',
              width: 120,
              render: (_, d) =>
                d.state !== 'waiting' && (
                  <Button size="small" disabled={!hook.enabled} onClick={() => send(t('hook.again'), () => redeliver(project, hook.id, d.id))}>
                    {t('hook.again')}
                  </Button>
                ),
            },
          ]}
        />
      )}
    </Drawer>
  );
}
