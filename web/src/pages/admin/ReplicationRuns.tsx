import { Button, Drawer, Empty, Flex, Progress, Tag } from 'antd';
import { stopRun, useRuns, useTasks } from '../../api/replication';
import type { ReplicationRun, ReplicationTask } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { bytes, duration } from '../../components/format';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { Ago, useNow } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';

const TONES = { waiting: 'waiting', running: 'active', stopping: 'active', succeeded: 'good', skipped: 'good', failed: 'bad', stopped: 'waiting' } as const;

function State({ state }: { state: keyof typeof TONES }) {
  const t = useText();
  return <Tag className={`state state-${TONES[state]}`}>{t(`repl.state_${state}`)}</Tag>;
}

/** By how fast the tasks that are over went; nothing before the first is. */
function TimeLeft({ run }: { run: ReplicationRun }) {
  const t = useText();
  const now = useNow(1000);
  const over = run.succeeded + run.skipped + run.failed;
  if (run.state !== 'running' || !run.started_at || over === 0 || over >= run.tasks) {
    return null;
  }
  const took = Math.max(0, now - Date.parse(run.started_at));
  return <span className="secondary">{t('repl.time_left', { time: duration((took / over) * (run.tasks - over)) })}</span>;
}

/** How far a run is, and what came of it. */
function Outcome({ run }: { run: ReplicationRun }) {
  const t = useText();
  const over = run.succeeded + run.skipped + run.failed;
  return (
    <>
      {!run.ended_at && run.tasks > 0 && (
        <Progress percent={Math.floor((100 * over) / run.tasks)} size="small" aria-label={t('repl.show', { id: run.id })} />
      )}
      <div>{t('repl.counts', { ok: run.succeeded, skipped: run.skipped, failed: run.failed, all: run.tasks })}</div>
      <TimeLeft run={run} />
    </>
  );
}

function TaskState({ task }: { task: ReplicationTask }) {
  const t = useText();
  const say = useServerText();
  const percent = task.total_bytes > 0 ? Math.floor((100 * task.done_bytes) / task.total_bytes) : 0;
  return (
    <>
      <State state={task.state} />
      {task.action === 'delete' && t('repl.deletes')}
      {task.state === 'running' && <Progress percent={percent} size="small" aria-label={task.source} />}
      {task.error && <div className="break">{say(task.error)}</div>}
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
  const say = useServerText();
  const tasks = useTasks(run.id);
  return (
    <Drawer open size={720} title={t('repl.tasks', { id: run.id, rule: run.rule })} onClose={close} extra={<State state={run.state} />}>
      {run.error && <ErrorView error={new Error(say(run.error))} />}
      {tasks.error && <ErrorView error={tasks.error} retry={() => void tasks.refetch()} />}
      <PagedTable<ReplicationTask>
        rowKey="number"
        pages={tasks}
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
    </Drawer>
  );
}

export function RunsTable() {
  const t = useText();
  const [q] = useParam('runs');
  const runs = useRuns(q);
  const [open, setOpen] = useParam('run');
  const shown = runs.items.find((r) => String(r.id) === open);
  if (runs.error) {
    return <ErrorView error={runs.error} retry={() => void runs.refetch()} />;
  }
  return (
    <Flex vertical gap={16}>
      <FilterBox label={t('repl.filter_runs')} name="runs" />
      <PagedTable<ReplicationRun>
        rowKey="id"
        pages={runs}
        locale={{ emptyText: q ? t('list.none_fit') : <Empty description={t('repl.no_runs')} /> }}
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
          {
            title: t('repl.state'),
            dataIndex: 'state',
            render: (state: ReplicationRun['state'], r) => (
              <>
                <State state={state} />
                <div className="secondary narrow-line">
                  <Outcome run={r} />
                </div>
              </>
            ),
          },
          {
            title: t('repl.result'),
            key: 'result',
            responsive: ['md'],
            render: (_, r) => <Outcome run={r} />,
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
      {shown && <Tasks run={shown} close={() => setOpen('')} />}
    </Flex>
  );
}
