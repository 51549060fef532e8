// What the retention rules did, or would do: runs, and of one run each tag with the reason.
import { Button, Drawer, Space, Tag } from 'antd';
import { useRetentionRows, useRetentionRun, useRetentionRuns } from '../../../api/imageRules';
import type { RetentionRow, RetentionRun } from '../../../api/types';
import { ErrorView } from '../../../components/ErrorView';
import { PagedTable } from '../../../components/PagedTable';
import { Ago } from '../../../components/time';
import { useParam } from '../../../components/useParam';
import { useServerText, useText } from '../../../i18n';

function Kind({ run }: { run: RetentionRun }) {
  const t = useText();
  const [tone, text] = run.error
    ? (['bad', 'repl.state_failed'] as const)
    : !run.ended_at
      ? (['active', 'repl.state_running'] as const)
      : run.dry_run
        ? (['waiting', 'rules.dry_run'] as const)
        : (['good', 'rules.applied'] as const);
  return <Tag className={`state state-${tone}`}>{t(text)}</Tag>;
}

function counts(t: ReturnType<typeof useText>, run: RetentionRun) {
  return t(run.dry_run ? 'rules.would' : 'rules.did', { kept: run.kept, removed: run.removed });
}

/** The first row of each repository names it. */
function firsts(rows: RetentionRow[]): Set<RetentionRow> {
  return new Set(rows.filter((r, i) => r.repository !== rows[i - 1]?.repository));
}

function Rows({ project, id, close }: { project: string; id: string; close: () => void }) {
  const t = useText();
  const say = useServerText();
  const run = useRetentionRun(project, id);
  const rows = useRetentionRows(project, id);
  const first = firsts(rows.items);
  const error = run.error ?? rows.error;
  return (
    <Drawer open size={820} title={t('rules.run_title', { id })} onClose={close} extra={run.data && <Kind run={run.data} />}>
      {error && <ErrorView error={error} />}
      {run.data?.error && <ErrorView error={new Error(say(run.data.error))} />}
      {run.data && <p role="status">{counts(t, run.data)}</p>}
      {!error && (
        <PagedTable<RetentionRow>
          rowKey={(r) => `${r.repository}\n${r.tag}\n${r.digest}`}
          size="small"
          pages={rows}
          locale={{ emptyText: t('rules.nothing_there') }}
          columns={[
            {
              title: t('images.tag'),
              key: 'tag',
              render: (_, r) => (
                <>
                  {first.has(r) && <div className="secondary break">{r.repository}</div>}
                  <span className="mono break">{r.tag || r.digest.slice(0, 19)}</span>
                  <div className="secondary narrow-line">{say(r.why)}</div>
                </>
              ),
            },
            {
              title: t('rules.fate'),
              key: 'kept',
              width: 110,
              render: (_, r) => <Tag className={`state state-${r.kept ? 'good' : 'bad'}`}>{t(r.kept ? 'rules.stays' : 'rules.goes')}</Tag>,
            },
            { title: t('rules.why'), dataIndex: 'why', responsive: ['md'], render: (why: string) => say(why) },
          ]}
        />
      )}
    </Drawer>
  );
}

export function RetentionRuns({ project }: { project: string }) {
  const t = useText();
  const runs = useRetentionRuns(project);
  const [open, setOpen] = useParam('run');
  if (runs.error) {
    return <ErrorView error={runs.error} retry={() => void runs.refetch()} />;
  }
  return (
    <>
      <PagedTable<RetentionRun>
        rowKey="id"
        pages={runs}
        locale={{ emptyText: t('rules.no_runs') }}
        columns={[
          {
            title: t('repl.run_id'),
            dataIndex: 'id',
            width: 90,
            render: (id: number) => (
              <Button type="link" className="in-cell" aria-label={t('repl.show', { id })} onClick={() => setOpen(String(id))}>
                {id}
              </Button>
            ),
          },
          {
            title: t('repl.result'),
            key: 'result',
            render: (_, r) => (
              <Space wrap>
                <Kind run={r} />
                <span>{counts(t, r)}</span>
              </Space>
            ),
          },
          { title: t('rules.by'), dataIndex: 'started_by', responsive: ['md'], render: (by: string) => by || t('repl.trigger_schedule') },
          { title: t('repl.age'), dataIndex: 'started_at', width: 150, responsive: ['sm'], render: (at: string) => <Ago at={at} /> },
        ]}
      />
      {open && <Rows project={project} id={open} close={() => setOpen('')} />}
    </>
  );
}
