// Prometheus' API below /prometheus: what these pages ask of it.
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { ApiError, get } from './client';

export type Labels = Record<string, string>;
export type Sample = [number, string];

export interface Series {
  metric: Labels;
  value?: Sample;
  values?: Sample[];
}

export interface Answer {
  data: { resultType: 'vector' | 'matrix'; result: Series[] } | { resultType: 'scalar' | 'string'; result: Sample };
  warnings?: string[];
  infos?: string[];
}

export interface Target {
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  health: 'up' | 'down' | 'unknown';
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
}

export interface Range {
  start: number; // seconds
  end: number;
  step: number;
}

const API = '/prometheus/api/v1';
const REFRESH_MS = 15_000;

const parameters = (values: Record<string, string | number>) => new URLSearchParams(Object.entries(values).map(([k, v]) => [k, String(v)])).toString();

export const instantUrl = (query: string, time: number) => `${API}/query?${parameters({ query, time })}`;
export const rangeUrl = (query: string, r: Range) => `${API}/query_range?${parameters({ query, start: r.start, end: r.end, step: r.step })}`;

/** The series of an answer; one number is a series without labels. */
export function seriesOf(answer: Answer | undefined): Series[] {
  if (!answer) {
    return [];
  }
  const { data } = answer;
  return data.resultType === 'scalar' || data.resultType === 'string' ? [{ metric: {}, value: data.result as Sample }] : (data.result as Series[]);
}

const retry = (count: number, error: Error) => count < 3 && error instanceof ApiError && error.status === 0;

/** Each query, over a range that ends now (and then is asked again and again) or at a moment. `range` is made when it is asked. */
export function useAnswers(queries: string[], kind: 'graph' | 'table', rangeAt: () => Range, key: string, follows: boolean) {
  return useQueries({
    queries: queries.map((query) => ({
      queryKey: ['metrics', kind, query, key],
      queryFn: ({ signal }: { signal: AbortSignal }) => {
        const r = rangeAt();
        return get<Answer>(kind === 'graph' ? rangeUrl(query, r) : instantUrl(query, r.end), signal);
      },
      enabled: query.trim() !== '',
      refetchInterval: follows ? REFRESH_MS : (false as const),
      placeholderData: keepPreviousData,
      retry,
    })),
  });
}

export function useTargets() {
  return useQuery({
    queryKey: ['metrics', 'targets'],
    queryFn: ({ signal }) => get<{ data: { activeTargets: Target[] } }>(`${API}/targets?state=active`, signal).then((a) => a.data.activeTargets),
    refetchInterval: REFRESH_MS,
  });
}

const words = (path: string) =>
  get<{ data: string[] }>(`${API}/${path}`)
    .then((a) => a.data)
    .catch((): string[] => []);

/** For completion: at most a thousand names. */
export const metricNames = () => words('label/__name__/values?limit=1000');
export const labelNames = (selector: string) => words(`labels?${parameters({ limit: 1000, ...(selector ? { 'match[]': selector } : {}) })}`);
export const labelValues = (name: string, selector: string) =>
  words(`label/${encodeURIComponent(name)}/values?${parameters({ limit: 1000, ...(selector ? { 'match[]': selector } : {}) })}`);
