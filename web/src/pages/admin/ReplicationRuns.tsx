import { Button, Drawer, Empty, Progress, Table, Tag } from 'antd';
import { stopRun, useRuns, useTasks } from '../../api/replication';
import type { ReplicationRun, ReplicationTask } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

const TONES = { waiting: 'waiting', running: 'active', stopping: 'active', succeeded: 'good', skipped: 'good', failed: 'bad', stopped: 'waiting' } as const;

function State({ state }: { state: keyof typeof TONES }) {
  const t = useText();
  return <Tag className={`state state-${TONES[state]}`}>{t(`repl.state_${state}`)}</Tag>;
}

function TaskState({ task }: { task: ReplicationTask }) {
  const t = useText();
  const percent = task.total_bytes > 0 ? Math.floor((100 * task.done_bytes) / task.total_bytes) : 0;
  return (
    <>
      <State state={task.state} />
      {task.action === 'delete' && t('repl.deletes')}
      {task.state === 'running' && <Progress percent={percent} size="small" aria-label={task.source} />}
      {task.error && <div className="break">{task.error}</div>}
      {task.next_try_at && task.tries > 0 && (
        <div className="secondary">
          {t('repl.next_try')}: <Ago at={task.next_try_at} />
        </div>
      )}
    </>
  );
}

function Tasks({ run, close }: { run: ReplicationRun; close: () => void }) {
  const t = useText();
  const tasks = useTasks(run.id);
  return (
    <Drawer open size={720} title={t('repl.tasks', { id: run.id, rule: run.rule })} onClose={close} extra={<State state={run.state} />}>
      {run.error && <ErrorView error={new Error(run.error)} />}
      {tasks.error && <ErrorView error={tasks.error} retry={() => void tasks.refetch()} />}
      <Table<ReplicationTask>
        rowKey="number"
        dataSource={tasks.items}
        loading={tasks.isLoading}
        pagination={{ pageSize: 100, hideOnSinglePage: true, showSizeChanger: false }}
        locale={{ emptyText: <Empty description={t('repl.no_tasks')} /> }}
        columns={[
          {
            title: t('repl.image'),
            key: 'image',
            render: (_, k) => (
              <>
                <code className="break">
                  {k.source}:{k.reference}
                </code>
                {k.destination !== k.source && <div className="secondary break">{t('repl.to', { name: k.destination })}</div>}
              </>
            ),
          },
          { title: t('repl.state'), key: 'state', render: (_, k) => <TaskState task={k} /> },
          { title: t('repl.moved'), key: 'moved', width: 110, align: 'right', responsive: ['sm'], render: (_, k) => bytes(k.moved_bytes) },
        ]}
      />
      {tasks.hasNextPage && (
        <Button onClick={() => void tasks.fetchNextPage()} loading={tasks.isFetchingNextPage}>
          {t('action.more')}
        </Button>
      )}
    </Drawer>
  );
}

export function RunsTable() {
  const t = useText();
  const runs = useRuns();
  const [open, setOpen] = useParam('run');
  const shown = runs.items.find((r) => String(r.id) === open);
  if (runs.error) {
    return <ErrorView error={runs.error} retry={() => void runs.refetch()} />;
  }
  return (
    <>
      <Table<ReplicationRun>
        rowKey="id"
        dataSource={runs.items}
        loading={runs.isLoading}
        pagination={false}
        locale={{ emptyText: <Empty description={t('repl.no_runs')} /> }}
        columns={[
          {
            title: t('repl.run_id'),
            dataIndex: 'id',
            width: 90,
            render: (id: number) => (
              <Button type="link" className="flat" aria-label={t('repl.show', { id })} onClick={() => setOpen(String(id))}>
                {id}
              </Button>
            ),
          },
          { title: t('repl.rule'), dataIndex: 'rule', render: (rule: string) => <strong className="break">{rule}</strong> },
          { title: t('repl.state'), dataIndex: 'state', render: (state: ReplicationRun['state']) => <State state={state} /> },
          {
            title: t('repl.result'),
            key: 'result',
            responsive: ['md'],
            render: (_, r) => t('repl.counts', { ok: r.succeeded, skipped: r.skipped, failed: r.failed, all: r.tasks }),
          },
          { title: t('repl.moved'), dataIndex: 'moved_bytes', align: 'right', responsive: ['md'], render: bytes },
          { title: t('repl.age'), dataIndex: 'created_at', responsive: ['sm'], render: (at: string) => <Ago at={at} /> },
          {
            title: <span className="sr-only">{t('repl.actions_head')}</span>,
            key: 'actions',
            width: 90,
            render: (_, r) => !r.ended_at && <Button onClick={() => void stopRun(r.id)}>{t('repl.stop')}</Button>,
          },
        ]}
      />
      {runs.hasNextPage && (
        <Button onClick={() => void runs.fetchNextPage()} loading={runs.isFetchingNextPage}>
          {t('action.more')}
        </Button>
      )}
      {shown && <Tasks run={shown} close={() => setOpen('')} />}
    </>
  );
}
