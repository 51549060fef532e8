// The log of a job: it follows, finds, colours, and opens at the end, however long it is.
import { ArrowDownOutlined, ArrowUpOutlined, DownloadOutlined, SearchOutlined, VerticalAlignBottomOutlined, VerticalAlignTopOutlined } from '@ant-design/icons';
import { Button, Flex, Input, Select, Space, Switch, Tooltip } from 'antd';
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { get } from '../../../api/client';
import { isFinished, jobUrl } from '../../../api/jobs';
import { live } from '../../../api/live';
import type { Job } from '../../../api/types';
import { ErrorView } from '../../../components/ErrorView';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';
import { useTypedParam } from '../../../components/useParam';
import { useParam } from '../params';
import { MOST_HITS, useFind, type Hit } from './find';
import { LogLines } from './LogLines';
import { ProgressLine } from './ProgressLine';
import { LogSource } from './source';

function useSource(job: Job, attempt: number): LogSource {
  const { project, id } = job;
  const isCurrent = attempt === job.attempt;
  const source = useMemo(() => {
    const isOver = async () => {
      const now = await get<Job>(jobUrl(project, id));
      return isFinished(now) || now.attempt !== attempt;
    };
    return new LogSource(`${jobUrl(project, id)}/log`, attempt, isCurrent && !isFinished(job), isOver);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the end of the job ends the stream, not the view
  }, [project, id, attempt, isCurrent]);
  useEffect(() => {
    void source.run();
    const stop = live.onMissed(() => source.reconnect());
    return () => {
      stop();
      source.close();
    };
  }, [source]);
  useSyncExternalStore(source.subscribe, () => source.version);
  return source;
}

/** The next hit behind (1) or before (-1) the one one is at, else from where one looks. */
export function nextHit(hits: Hit[], now: number, step: 1 | -1, looksAt: number): number {
  if (hits.length === 0) {
    return -1;
  }
  if (now >= 0) {
    return (now + step + hits.length) % hits.length;
  }
  const i = hits.findIndex((h) => h.at >= looksAt);
  return step === 1 ? Math.max(0, i) : ((i < 0 ? hits.length : i) - 1 + hits.length) % hits.length;
}

function Find({ source, go, typed, setTyped }: { source: LogSource; go: (hit: Hit | null) => void; typed: string; setTyped: (s: string) => void }) {
  const t = useText();
  const found = useFind(source, typed);
  const [now, setNow] = useState(-1);
  useEffect(() => {
    setNow(-1);
    go(null);
  }, [typed, source, go]);
  const step = (by: 1 | -1) => {
    const i = nextHit(found.hits, now, by, source.start);
    setNow(i);
    go(found.hits[i] ?? null);
  };
  const count = found.isCapped ? `${MOST_HITS}+` : String(found.hits.length);
  const part = source.size > 0 ? Math.floor((100 * found.looked) / source.size) : 100;
  const said = !typed
    ? ''
    : now >= 0
      ? t('jobs.log_hit_of', { now: now + 1, all: count })
      : t('jobs.log_hits', { all: count });
  return (
    <Space.Compact className="log-find">
      <Input
        allowClear
        prefix={<SearchOutlined aria-hidden />}
        suffix={<span role="status" className="secondary">{said}{typed && !found.isCapped && part < 99 ? ` · ${part} %` : ''}</span>}
        value={typed}
        onChange={(e) => setTyped(e.target.value)}
        onKeyDown={(e) => e.key === 'Enter' && step(e.shiftKey ? -1 : 1)}
        placeholder={t('jobs.log_find')}
        aria-label={t('jobs.log_find')}
      />
      <Button icon={<ArrowUpOutlined />} aria-label={t('jobs.log_previous')} disabled={found.hits.length === 0} onClick={() => step(-1)} />
      <Button icon={<ArrowDownOutlined />} aria-label={t('jobs.log_next')} disabled={found.hits.length === 0} onClick={() => step(1)} />
    </Space.Compact>
  );
}

export function LogView({ job }: { job: Job }) {
  const t = useText();
  const [attemptParam, setAttempt] = useParam('attempt');
  const [wrapParam, setWrap] = useParam('wrap');
  const [typed, setTyped] = useTypedParam('find');
  const attempt = Math.min(job.attempt, Math.max(1, Number(attemptParam) || job.attempt));
  const source = useSource(job, attempt);
  const [following, setFollowing] = useState(true);
  const [hit, setHit] = useState<Hit | null>(null);
  source.following = following;
  const wrap = wrapParam !== '0';

  const follow = (on: boolean) => {
    // At the end of the window is not at the end of the log: then the next part is read first.
    setFollowing(on && !source.hasAfter);
    if (on && source.hasAfter) {
      void source.after();
    }
  };
  const toEnd = () => void source.toEnd().then(() => setFollowing(true));
  const [starts, setStarts] = useState(0);
  const toStart = () => {
    setFollowing(false);
    setStarts((n) => n + 1);
    void source.jump(0);
  };
  const [go] = useState(() => (to: Hit | null) => {
    setHit(to);
    if (to) {
      setFollowing(false);
    }
  });
  useEffect(() => {
    if (hit && (hit.at < source.start || hit.at >= source.end)) {
      void source.jump(hit.at);
    }
  }, [hit, source]);

  const isEmpty = source.size === 0 && source.status !== 'loading';
  const href = `${jobUrl(job.project, job.id)}/log?attempt=${attempt}`;
  return (
    <Flex vertical gap={10}>
      <Flex gap={8} wrap align="center">
        <Find key={attempt} source={source} go={go} typed={typed} setTyped={setTyped} />
        {job.attempt > 1 && (
          <Select
            aria-label={t('jobs.attempt')}
            value={attempt}
            onChange={(n: number) => setAttempt(n === job.attempt ? '' : String(n))}
            options={Array.from({ length: job.attempt }, (_, i) => ({ value: i + 1, label: t('jobs.attempt_n', { n: i + 1 }) }))}
          />
        )}
        <label className="switch">
          <Switch size="small" checked={following} onChange={(on) => (on ? toEnd() : setFollowing(false))} /> {t('jobs.log_follow')}
        </label>
        <label className="switch">
          <Switch size="small" checked={wrap} onChange={(on) => setWrap(on ? '' : '0')} /> {t('jobs.log_wrap')}
        </label>
        <Space.Compact>
          <Tooltip title={t('jobs.log_start')}>
            <Button icon={<VerticalAlignTopOutlined />} aria-label={t('jobs.log_start')} onClick={toStart} />
          </Tooltip>
          <Tooltip title={t('jobs.log_end')}>
            <Button icon={<VerticalAlignBottomOutlined />} aria-label={t('jobs.log_end')} onClick={toEnd} />
          </Tooltip>
          <Tooltip title={t('action.download')}>
            <Button icon={<DownloadOutlined />} aria-label={t('action.download')} href={href} download={`${job.name}-${job.id}-${attempt}.log`} />
          </Tooltip>
        </Space.Compact>
        <span className="secondary log-size" role="status">
          {bytes(source.size)} · {t(`jobs.log_${source.status}`)}
        </span>
      </Flex>
      <ProgressLine lines={source.lines} job={job} />
      {source.error !== null && source.status === 'over' ? <ErrorView error={source.error} /> : null}
      {source.status === 'cut' && <div role="alert" className="log-cut">{t('jobs.log_cut_hint')}</div>}
      {isEmpty && <p className="secondary">{isFinished(job) ? t('jobs.log_none') : t('jobs.log_none_yet')}</p>}
      <LogLines
        lines={source.lines}
        firstNumber={source.firstNumber}
        wrap={wrap}
        needle={typed.toLowerCase()}
        current={hit}
        following={following}
        toStart={starts}
        onFollow={follow}
        onNearTop={() => source.hasBefore && void source.before()}
        onNearBottom={() => source.hasAfter && void source.after()}
        label={t('jobs.log_of', { name: job.name })}
      />
    </Flex>
  );
}
