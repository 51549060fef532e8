// How the run goes whose states the steps show, and what can be done with it.
import { CloseOutlined, RedoOutlined, StopOutlined } from '@ant-design/icons';
import { App, Button, Flex } from 'antd';
import { Link } from 'react-router-dom';
import { cancelRun, isOver, retryRun, runPage, type Run } from '../../../api/studio';
import type { ApiError } from '../../../api/client';
import { Took } from '../../../components/time';
import { useServerText, useText } from '../../../i18n';
import { StateTag } from '../parts/StateTag';

const DONE = ['cached', 'succeeded', 'failed', 'skipped', 'cancelled'];

export function RunActions({ project, run, may, show }: { project: string; run: Run; may: boolean; show: (run: Run) => void }) {
  const t = useText();
  const say = useServerText();
  const { message } = App.useApp();
  const act = (what: Promise<Run>) => void what.then(show).catch((e: ApiError) => message.error(say(e.original)));
  return may ? (
    <>
      {!isOver(run) && (
        <Button size="small" danger icon={<StopOutlined />} onClick={() => act(cancelRun(project, run.id))}>
          {t('studio.cancel_run')}
        </Button>
      )}
      {(run.state === 'failed' || run.state === 'cancelled') && (
        <Button size="small" icon={<RedoOutlined />} onClick={() => act(retryRun(project, run.id))}>
          {t('studio.retry')}
        </Button>
      )}
    </>
  ) : null;
}

interface BarProps {
  project: string;
  run: Run;
  may: boolean;
  show: (run: Run) => void;
  point: (node: string) => void; // at a step that failed
  hide: () => void;
}

export function RunBar({ project, run, may, show, point, hide }: BarProps) {
  const t = useText();
  const say = useServerText();
  const failed = Object.entries(run.nodes ?? {}).find(([, n]) => n.state === 'failed');
  const all = Object.values(run.nodes ?? {});
  const done = all.filter((n) => DONE.includes(n.state)).length;
  const cached = all.filter((n) => n.state === 'cached').length;
  return (
    <Flex className="run-bar" gap={10} align="center" wrap role="status">
      <StateTag state={run.state} />
      <Link to={runPage(project, run.id)}>{t('studio.run_n', { id: run.id })}</Link>
      <span className="secondary">
        {t('studio.steps_done', { done, all: all.length })}
        {cached > 0 && ` · ${t('studio.steps_cached', { n: cached })}`} · <Took from={run.started_at} to={run.finished_at} />
      </span>
      <RunActions project={project} run={run} may={may} show={show} />
      {failed && (
        <span className="run-failed bad ellipsis" title={say(failed[1].error?.message ?? '')}>
          <button type="button" className="link mono" onClick={() => point(failed[0])}>
            {failed[0]}
          </button>{' '}
          {say(failed[1].error?.message ?? '')}
        </span>
      )}
      <Button type="text" size="small" className="run-hide" icon={<CloseOutlined />} aria-label={t('studio.hide_run')} onClick={hide} />
    </Flex>
  );
}
