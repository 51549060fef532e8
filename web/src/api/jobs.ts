// The list of a project's jobs, for tens of thousands of rows: read page by page as one scrolls; when a job
// changes only that row is read again, not all pages.
import { useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { ApiError, api, get, path, type Page } from './client';
import { live } from './live';
import { queryClient } from './queries';
import type { Job, JobFiles, Usage } from './types';

export type { Usage, UsageSample } from './types';

const FIRST = 200;
const MORE = 500;
const AT_ONCE = 40; // changed rows that are read one by one; more: the list is read anew

export const jobsUrl = (project: string) => path`/api/v1/projects/${project}/jobs`;
export const jobUrl = (project: string, id: string) => path`/api/v1/projects/${project}/jobs/${id}`;

export const cancelJob = (project: string, id: string) => api<Job>('POST', `${jobUrl(project, id)}/cancel`);
export const deleteJob = (project: string, id: string) => api<void>('DELETE', jobUrl(project, id));

export interface JobList {
  items: Job[];
  next: string | null;
}

/** What the server's filter does: all words must be found, in any of the fields. */
export function matches(job: Pick<Job, 'name' | 'id' | 'user' | 'image'>, typed: string): boolean {
  const words = typed.toLowerCase().split(' ').filter(Boolean);
  const text = `${job.name}\n${job.id}\n${job.user}\n${job.image}`.toLowerCase();
  return words.every((w) => text.includes(w));
}

/** Which jobs a list is of. */
export interface JobFilter {
  states: string; // with commas between; empty: all
  q: string;
}

const isOlder = (a: Job, b: Job) => a.created_at < b.created_at;

/** The list after some rows changed: the newest page as it is now, rows behind it replaced or gone (null). */
export function mergeJobs(old: JobList, first: JobList, changed: Map<string, Job | null>, { states, q }: JobFilter): JobList {
  const last = first.items[first.items.length - 1];
  if (!last || first.next === null) {
    return first;
  }
  const fresh = new Set(first.items.map((j) => j.id));
  const fits = (j: Job) => (states === '' || states.split(',').includes(j.state)) && matches(j, q);
  const behind: Job[] = [];
  for (const job of old.items) {
    const now = changed.has(job.id) ? changed.get(job.id) : job;
    if (now && fits(now) && !fresh.has(job.id) && isOlder(job, last)) {
      behind.push(now);
    }
  }
  // An older job that came into what is asked for (a filter by state): it takes its place by age.
  const known = new Set(old.items.map((j) => j.id));
  const oldest = behind[behind.length - 1];
  for (const [id, job] of changed) {
    if (job && !known.has(id) && !fresh.has(id) && fits(job) && (old.next === null || (oldest && isOlder(oldest, job)))) {
      const at = behind.findIndex((b) => isOlder(b, job));
      behind.splice(at < 0 ? behind.length : at, 0, job);
    }
  }
  return { items: [...first.items, ...behind], next: behind.length > 0 ? old.next : first.next };
}

async function readPage(project: string, { states, q }: JobFilter, after: string | null, limit: number, signal?: AbortSignal) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (states) {
    query.set('state', states);
  }
  if (q) {
    query.set('q', q);
  }
  if (after) {
    query.set('after', after);
  }
  return get<Page<Job>>(`${jobsUrl(project)}?${query}`, signal);
}

const readJob = (project: string, id: string) =>
  get<Job>(jobUrl(project, id)).catch((e: unknown) => {
    if (e instanceof ApiError && e.status === 404) {
      return null;
    }
    throw e;
  });

export function useJobList(project: string, filter: JobFilter) {
  const key = ['joblist', project, filter.states, filter.q];
  const keyText = key.join(' ');
  const list = useQuery<JobList, ApiError>({
    queryKey: key,
    queryFn: async ({ signal }) => {
      // Read anew: as many rows as were there.
      const wanted = Math.max(FIRST, queryClient.getQueryData<JobList>(key)?.items.length ?? 0);
      const done: JobList = { items: [], next: null };
      do {
        const page = await readPage(project, filter, done.next, Math.min(1000, wanted - done.items.length), signal);
        done.items.push(...page.items);
        done.next = page.next;
      } while (done.next && done.items.length < wanted);
      return done;
    },
    // While words are typed, what was found for those before stays in sight.
    placeholderData: (old, query) => (query?.queryKey[1] === project && query.queryKey[2] === filter.states ? old : undefined),
  });

  const [loading, setLoading] = useState(false);
  const busy = useRef('');
  const more = useCallback(async () => {
    const now = queryClient.getQueryData<JobList>(key);
    if (!now?.next || busy.current === keyText) {
      return;
    }
    busy.current = keyText;
    setLoading(true);
    try {
      const page = await readPage(project, filter, now.next, MORE);
      queryClient.setQueryData<JobList>(key, (old) => {
        const there = new Set(old?.items.map((j) => j.id));
        return { items: [...(old?.items ?? []), ...page.items.filter((j) => !there.has(j.id))], next: page.next };
      });
    } finally {
      busy.current = '';
      setLoading(false);
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- keyText stands for key and filter
  }, [keyText, project]);

  useEffect(() => {
    const ids = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async () => {
      timer = undefined;
      const now = [...ids];
      ids.clear();
      const old = queryClient.getQueryData<JobList>(key);
      if (!old || now.length > AT_ONCE) {
        return void queryClient.invalidateQueries({ queryKey: key });
      }
      try {
        const first = await readPage(project, filter, null, FIRST);
        const inFirst = new Set(first.items.map((j) => j.id));
        const behind = first.next === null ? [] : now.filter((id) => !inFirst.has(id));
        const changed = new Map(await Promise.all(behind.map(async (id) => [id, await readJob(project, id)] as const)));
        queryClient.setQueryData<JobList>(key, (l) => (l ? mergeJobs(l, first, changed, filter) : l));
      } catch {
        void queryClient.invalidateQueries({ queryKey: key }); // it tries again by itself, and says so
      }
    };
    const stop = live.onEvent((e) => {
      if (e.type === 'job' && e.project === project) {
        ids.add(e.id);
        timer ??= setTimeout(() => void refresh(), 300);
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- keyText stands for key and filter
  }, [keyText, project]);

  return { ...list, items: list.data?.items ?? [], hasMore: Boolean(list.data?.next), more, isLoadingMore: loading };
}

/** One job with its spec and history; its figures are read again while it runs. */
export const useJob = (project: string, id: string) =>
  useQuery<Job, ApiError>({
    queryKey: ['jobs', project, 'one', id],
    queryFn: ({ signal }) => get<Job>(jobUrl(project, id), signal),
    enabled: id !== '',
    refetchInterval: (q) => (q.state.data && !isFinished(q.state.data) ? 3000 : false),
  });

const FINISHED = ['succeeded', 'failed', 'cancelled', 'lost'];
export const isFinished = (job: { state: string }) => FINISHED.includes(job.state);

/** Files that changed in its writable volumes; read again now and then while it runs. */
export const useJobFiles = (project: string, id: string, attempt: number, limit: number, running: boolean) =>
  useQuery<JobFiles, ApiError>({
    queryKey: ['jobs', project, 'files', id, attempt, limit],
    queryFn: ({ signal }) => get<JobFiles>(`${jobUrl(project, id)}/files?attempt=${attempt}&limit=${limit}`, signal),
    refetchInterval: running ? 10_000 : false,
    placeholderData: (old) => (old?.attempt === attempt ? old : undefined),
  });

/** null: this server keeps no such figures. */
export const useUsage = (project: string, id: string, attempt: number, running: boolean) =>
  useQuery<Usage | null, ApiError>({
    queryKey: ['jobs', project, 'usage', id, attempt],
    queryFn: ({ signal }) =>
      get<Usage>(`${jobUrl(project, id)}/usage?attempt=${attempt}`, signal).catch((e: unknown) => {
        if (e instanceof ApiError && e.status === 404) {
          return null;
        }
        throw e;
      }),
    refetchInterval: (q) => (running && q.state.data ? 3000 : false),
  });
