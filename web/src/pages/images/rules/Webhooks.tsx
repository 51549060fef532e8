// Other programs that are told what becomes of the images.
import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Card, Empty, Switch, Tag, Typography } from 'antd';
import { useState } from 'react';
import { deleteWebhook, pingWebhook, saveWebhook, useWebhooks } from '../../../api/imageRules';
import type { Webhook } from '../../../api/types';
import { useConfirm } from '../../../components/confirm';
import { ErrorView } from '../../../components/ErrorView';
import { PagedTable } from '../../../components/PagedTable';
import { RowMenu } from '../../../components/RowMenu';
import { Ago } from '../../../components/time';
import { useParam } from '../../../components/useParam';
import { useText } from '../../../i18n';
import { Deliveries } from './Deliveries';
import { WebhookDialog } from './WebhookDialog';

function useRun() {
  const t = useText();
  const { modal } = App.useApp();
  return (title: string, work: () => Promise<unknown>) =>
    void work().catch((error: unknown) => {
      modal.error({ icon: null, title, content: <ErrorView error={error} />, okText: t('action.close') });
    });
}

function State({ hook }: { hook: Webhook }) {
  const t = useText();
  if (!hook.enabled) {
    return <Tag className="state state-waiting">{t('repl.disabled')}</Tag>;
  }
  return (
    <>
      {hook.failures > 0 ? (
        <Tag className="state state-bad">{t('hook.failing', { n: hook.failures })}</Tag>
      ) : (
        <Tag className="state state-good">{t('hook.fine')}</Tag>
      )}
      {hook.waiting > 0 && <div className="secondary">{t('hook.waiting_n', { n: hook.waiting })}</div>}
      {hook.next_try_at && (
        <div className="secondary">
          {t('repl.next_try')}: <Ago at={hook.next_try_at} />
        </div>
      )}
      {hook.dropped > 0 && <div className="secondary">{t('hook.dropped_n', { n: hook.dropped })}</div>}
    </>
  );
}

export function Webhooks({ project }: { project: string }) {
  const t = useText();
  const hooks = useWebhooks(project, true);
  const confirm = useConfirm();
  const run = useRun();
  const [open, setOpen] = useParam('hook');
  const [asked, setAsked] = useState<{ hook: Webhook | null } | null>(null);
  const shown = hooks.items.find((h) => String(h.id) === open);
  const menu = (h: Webhook) => ({
    items: [
      { key: 'log', label: t('hook.log'), onClick: () => setOpen(String(h.id)) },
      {
        key: 'ping',
        label: t('hook.ping'),
        disabled: !h.enabled,
        onClick: () =>
          run(t('hook.ping'), async () => {
            await pingWebhook(project, h.id);
            setOpen(String(h.id));
          }),
      },
      { key: 'edit', label: t('repl.edit'), onClick: () => setAsked({ hook: h }) },
      { type: 'divider' as const },
      {
        key: 'delete',
        label: t('repl.delete'),
        danger: true,
        onClick: () =>
          confirm({ title: t('hook.delete_title', { name: h.name }), consequence: t('hook.delete_hint'), ok: t('repl.delete'), run: () => deleteWebhook(project, h.id) }),
      },
    ],
  });
  return (
    <Card
      title={t('rules.webhooks')}
      extra={
        <Button icon={<PlusOutlined />} onClick={() => setAsked({ hook: null })}>
          {t('hook.new')}
        </Button>
      }
    >
      <Typography.Paragraph type="secondary">{t('hook.hint')}</Typography.Paragraph>
      {hooks.error ? (
        <ErrorView error={hooks.error} retry={() => void hooks.refetch()} />
      ) : (
        <PagedTable<Webhook>
          rowKey="id"
          pages={hooks}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('hook.none')} /> }}
          columns={[
            {
              title: t('repl.name'),
              key: 'name',
              render: (_, h) => (
                <>
                  <Button type="link" className="in-cell" onClick={() => setOpen(String(h.id))}>
                    {h.name}
                  </Button>
                  <div className="secondary break">{h.url}</div>
                  <div className="narrow-line">
                    <State hook={h} />
                  </div>
                </>
              ),
            },
            { title: t('hook.events'), dataIndex: 'events', responsive: ['lg'], render: (events: Webhook['events']) => events.map((e) => <Tag key={e}>{t(`hook.event_${e}`)}</Tag>) },
            { title: t('repl.state'), key: 'state', responsive: ['md'], render: (_, h) => <State hook={h} /> },
            {
              title: t('repl.enabled'),
              dataIndex: 'enabled',
              width: 90,
              render: (enabled: boolean, h) => (
                <Switch
                  size="small"
                  checked={enabled}
                  aria-label={t('hook.enable', { name: h.name })}
                  onChange={(on) => run(h.name, () => saveWebhook(project, h, { enabled: on }))}
                />
              ),
            },
            {
              title: <span className="sr-only">{t('repl.actions_head')}</span>,
              key: 'actions',
              width: 56,
              render: (_, h) => <RowMenu label={t('repl.actions', { name: h.name })} menu={() => menu(h)} />,
            },
          ]}
        />
      )}
      {asked && <WebhookDialog project={project} hook={asked.hook} close={() => setAsked(null)} />}
      {shown && <Deliveries project={project} hook={shown} close={() => setOpen('')} />}
    </Card>
  );
}
