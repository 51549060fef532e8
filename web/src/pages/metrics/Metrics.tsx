// Queries in PromQL: several at a time, drawn over a range of time or as a table of now. All of it stands in the address.
import { DeleteOutlined, PlusOutlined, ReloadOutlined } from '@ant-design/icons';
import { Alert, Button, Empty, Flex, Input, Segmented, Select, Skeleton, Space, Table } from 'antd';
import { lazy, Suspense, useMemo, useState } from 'react';
import { Link, useSearchParams } from 'react-router-dom';
import { ApiError } from '../../api/client';
import { instantUrl, rangeUrl, seriesOf, useAnswers, type Answer, type Range } from '../../api/metrics';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { quote } from '../../components/shell';
import { useText } from '../../i18n';
import type { Line } from './Graph';
import { Legend } from './Legend';
import './metrics.css';
import { Examples } from './Examples';
import { Said } from './Said';
import { mistakeIn, secondsOf, seriesName, stepFor, unitOf } from './promql';

const Graph = lazy(() => import('./Graph'));
const QueryInput = lazy(() => import('./QueryInput'));

const RANGES = ['5m', '15m', '1h', '3h', '6h', '12h', '1d', '2d', '1w', '4w'];
const DRAWN = 100;
const COLORS = ['#0b7a75', '#b06000', '#5b6ee1', '#c2374f', '#3f8f3a', '#8a4fbf', '#997a00', '#0f7fb5', '#b0418f', '#64737a'];
const letter = (i: number) => String.fromCharCode(65 + (i % 26)) + (i >= 26 ? String(Math.floor(i / 26)) : '');

/** Times that any series has, and each series' values at them. */
function linesOf(answers: (Answer | undefined)[], names: boolean): { times: number[]; lines: Line[]; all: number } {
  const series = answers.flatMap((a, i) => seriesOf(a).map((s) => ({ ...s, from: letter(i) }))).filter((s) => s.values);
  const drawn = series.slice(0, DRAWN);
  const times = [...new Set(drawn.flatMap((s) => s.values!.map((v) => v[0])))].sort((a, b) => a - b);
  const lines = drawn.map((s, i) => {
    const at = new Map(s.values!.map(([time, v]) => [time, Number(v)]));
    return {
      name: (names ? `${s.from}: ` : '') + seriesName(s.metric),
      color: COLORS[i % COLORS.length]!,
      values: times.map((time) => {
        const v = at.get(time);
        return v === undefined || !Number.isFinite(v) ? null : v;
      }),
    };
  });
  return { times, lines, all: series.length };
}

/** The address, as what is asked. */
function useAsked() {
  const [params, setParams] = useSearchParams();
  const change = (what: Record<string, string | string[]>) =>
    setParams(
      (p) => {
        for (const [k, v] of Object.entries(what)) {
          p.delete(k);
          [v].flat().forEach((one) => one !== '' && p.append(k, one));
        }
        return p;
      },
      { replace: true },
    );
  const queries = params.getAll('q');
  return {
    queries: queries.length > 0 ? queries : [''],
    range: params.get('range') ?? '1h',
    end: params.get('end') ?? '',
    step: params.get('step') ?? '',
    tab: params.get('tab') === 'table' ? ('table' as const) : ('graph' as const),
    change,
  };
}

function Problems({ name, error }: { name: string; error: unknown }) {
  const t = useText();
  const mistake = error instanceof ApiError ? mistakeIn(error.original) : null;
  if (!(error instanceof ApiError) || error.status === 0 || error.status === 403) {
    return <ErrorView error={error} />;
  }
  return (
    <Alert
      role="alert"
      type="error"
      showIcon
      title={mistake ? t('metrics.at', { name, line: mistake.line, column: mistake.column }) : t('metrics.with_query', { name })}
      description={<Said text={mistake ? mistake.text : error.original} />}
    />
  );
}

function Notes({ name, answer }: { name: string; answer: Answer | undefined }) {
  const t = useText();
  const notes = [...(answer?.warnings ?? []).map((text) => ({ text, type: 'warning' as const })), ...(answer?.infos ?? []).map((text) => ({ text, type: 'info' as const }))];
  return notes.map((n) => <Alert key={n.text} type={n.type} showIcon title={t('metrics.with_query', { name })} description={<Said text={n.text} />} />);
}

/** Why an answer may be empty, as far as it can be told. */
function Nothing() {
  const t = useText();
  const { me } = useSession();
  return (
    <>
      <p>{t('metrics.none')}</p>
      <p>{me.is_admin ? <Link to="/monitoring/targets">{t('metrics.to_targets')}</Link> : t('metrics.none_seen')}</p>
    </>
  );
}

function Values({ answers }: { answers: (Answer | undefined)[] }) {
  const t = useText();
  const rows = answers.flatMap((a, i) =>
    seriesOf(a).map((s, k) => ({ key: `${i} ${k}`, query: letter(i), name: seriesName(s.metric), value: s.value?.[1] ?? s.values?.map((v) => v[1]).join(' ') ?? '' })),
  );
  return (
    <Table
      size="small"
      dataSource={rows}
      pagination={rows.length > 50 ? { pageSize: 50, showSizeChanger: false } : false}
      locale={{ emptyText: <Nothing /> }}
      columns={[
        ...(answers.length > 1 ? [{ title: '#', dataIndex: 'query', width: 48 }] : []),
        { title: t('metrics.series'), dataIndex: 'name', render: (name: string) => <span className="mono break">{name}</span>, sorter: (a, b) => a.name.localeCompare(b.name) },
        { title: t('metrics.value'), dataIndex: 'value', align: 'right' as const, render: (v: string) => <span className="mono break">{v}</span>, sorter: (a, b) => Number(a.value) - Number(b.value) },
      ]}
    />
  );
}

function Chart({ answers, queries, range, onRange }: { answers: (Answer | undefined)[]; queries: string[]; range: Range; onRange: (start: number, end: number) => void }) {
  const t = useText();
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const [cursor, setCursor] = useState<number | null>(null);
  const several = queries.length > 1;
  const { times, lines, all } = useMemo(() => linesOf(answers, several), [answers, several]);
  const units = new Set(queries.map(unitOf));
  const unit = units.size === 1 ? [...units][0]! : '';
  const visible = useMemo(() => lines.filter((l) => !hidden.has(l.name)), [lines, hidden]);
  const toggle = (name: string) =>
    setHidden((h) => {
      const next = new Set(h);
      return (next.delete(name) || next.add(name), next);
    });
  if (lines.length === 0) {
    return <Empty description={<Nothing />} />;
  }
  return (
    <>
      <Suspense fallback={<Skeleton.Node active style={{ width: '100%', height: 320 }} />}>
        <Graph times={times} range={[range.start, range.end]} lines={visible} label={`${t('metrics.graph')}: ${t('metrics.n_series', { n: all })}`} unit={unit} onRange={onRange} onCursor={setCursor} />
      </Suspense>
      {all > DRAWN && <Alert type="info" title={t('metrics.first_shown', { shown: DRAWN, n: all })} />}
      <Legend times={times} at={cursor !== null && cursor < times.length ? cursor : null} lines={lines} unit={unit} hidden={hidden} toggle={toggle} />
    </>
  );
}

export default function Metrics() {
  const t = useText();
  const { queries, range, end, step, tab, change } = useAsked();
  const [opened] = useState(() => Math.floor(Date.now() / 1000));
  const width = secondsOf(range) || 3600;
  const endAt = (): number => {
    const ms = end ? Date.parse(end) : NaN;
    return Number.isNaN(ms) ? Math.floor(Date.now() / 1000) : Math.floor(ms / 1000);
  };
  const rangeAt = (): Range => {
    const seconds = secondsOf(step) || stepFor(width);
    const last = Math.floor(endAt() / seconds) * seconds;
    return { start: last - Math.floor(width / seconds) * seconds, end: tab === 'table' ? endAt() : last, step: seconds };
  };
  const results = useAnswers(queries, tab, rangeAt, [range, end, step].join(' '), end === '');
  const versions = results.map((r) => r.dataUpdatedAt).join();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the answers, when they are others
  const answers = useMemo(() => results.map((r) => r.data), [versions, queries.join('\n')]);
  const asked = queries.filter((q) => q.trim() !== '');
  const set = (i: number, text: string) => text !== queries[i] && change({ q: queries.map((q, k) => (k === i ? text : q)) });
  const until = end ? endAt() : opened;
  const twin = asked[0] ?? 'up';
  return (
    <>
      <PageHead
        title={t('metrics.title')}
        commands={[
          { cli: `strata query ${quote(twin)} --time ${until}`, url: instantUrl(twin, until) },
          { cli: `strata query ${quote(twin)} --start ${until - width} --end ${until} --step ${stepFor(width)}`, url: rangeUrl(twin, { start: until - width, end: until, step: stepFor(width) }) },
        ]}
        actions={<Link to="/monitoring/targets">{t('metrics.to_targets')}</Link>}
      />
      <Flex vertical gap={12}>
        {queries.map((q, i) => {
          const error = results[i]?.error;
          return (
            <Flex vertical gap={8} key={i}>
              <Flex gap={8} align="start">
                <span className="query-letter" aria-hidden>{letter(i)}</span>
                <Suspense fallback={<Skeleton.Input active block />}>
                  <QueryInput name={letter(i)} value={q} mistake={error instanceof ApiError ? mistakeIn(error.original) : null} onRun={(text) => set(i, text)} />
                </Suspense>
                {queries.length > 1 && (
                  <Button type="text" icon={<DeleteOutlined />} aria-label={t('metrics.remove', { name: letter(i) })} onClick={() => change({ q: queries.filter((_, k) => k !== i) })} />
                )}
              </Flex>
              {error && <Problems name={letter(i)} error={error} />}
              <Notes name={letter(i)} answer={results[i]?.data} />
            </Flex>
          );
        })}
        <Flex gap={12} wrap align="center">
          <Button type="primary" icon={<ReloadOutlined />} loading={results.some((r) => r.isFetching)} onClick={() => results.forEach((r, i) => queries[i]?.trim() && void r.refetch())}>
            {t('metrics.run')}
          </Button>
          <Button icon={<PlusOutlined />} onClick={() => change({ q: [...queries.filter((q) => q.trim()), asked.at(-1) ?? 'up'] })}>
            {t('metrics.add')}
          </Button>
          <Select
            aria-label={t('metrics.range')}
            value={range}
            style={{ minWidth: 150 }}
            onChange={(v: string) => change({ range: v === '1h' ? '' : v })}
            options={(RANGES.includes(range) ? RANGES : [range, ...RANGES]).map((r) => ({ value: r, label: t('metrics.last_n', { range: r }) }))}
          />
          <Space.Compact>
            <Input
              aria-label={t('metrics.until')}
              type="datetime-local"
              step={1}
              value={end ? localTime(endAt()) : ''}
              onChange={(e) => change({ end: e.target.value ? new Date(e.target.value).toISOString() : '' })}
              style={{ width: 215 }}
            />
            <Button disabled={!end} onClick={() => change({ end: '' })}>
              {t('metrics.now')}
            </Button>
          </Space.Compact>
          <Select
            aria-label={t('metrics.step')}
            value={step}
            style={{ minWidth: 120 }}
            onChange={(v: string) => change({ step: v })}
            options={['', '15s', '1m', '5m', '1h'].map((s) => ({ value: s, label: s || t('metrics.step_auto') }))}
          />
          <Segmented
            value={tab}
            onChange={(v) => change({ tab: v === 'table' ? 'table' : '' })}
            options={[
              { value: 'graph', label: t('metrics.graph') },
              { value: 'table', label: t('metrics.table') },
            ]}
          />
        </Flex>
        {asked.length === 0 ? (
          <Examples onAsk={(q) => change({ q: [q], tab: '' })} />
        ) : results.every((r) => !r.data && !r.error) ? (
          <Skeleton.Node active style={{ width: '100%', height: 320 }} />
        ) : results.some((r) => r.error) && results.every((r) => !r.data) ? null : tab === 'table' ? (
          <Values answers={answers} />
        ) : (
          <Chart
            answers={answers}
            queries={asked}
            range={rangeAt()}
            onRange={(from, to) => change({ end: new Date(Math.ceil(to) * 1000).toISOString(), range: `${Math.max(10, Math.round(to - from))}s` })}
          />
        )}
      </Flex>
    </>
  );
}

/** As <input type=datetime-local> has it. */
function localTime(seconds: number): string {
  const at = new Date(seconds * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
