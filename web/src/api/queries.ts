// What pages read: one hook a resource. Events of the live stream make what they touch be read again.
import {
  QueryClient,
  useInfiniteQuery,
  useQuery,
  type InfiniteData,
  type UseInfiniteQueryResult,
  type UseQueryResult,
} from '@tanstack/react-query';
import { ApiError, get, path, type Page } from './client';
import type { LiveEvent } from './live';
import type { HealthRow, Job, Node, Project, Queue } from './types';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the server refuses it will refuse again; what it did not hear is worth another try.
      retry: (count, error) => count < 5 && !(error instanceof ApiError && error.status !== 0 && error.status < 500),
      retryDelay: (count) => Math.min(500 * 2 ** count, 5000),
    },
  },
});

/** Keys begin with what an event names: ['jobs', project, …], ['volumes', project, …], ['images', project, …]. */
export function refreshFor(event: LiveEvent) {
  const touch = (...key: string[]) => void queryClient.invalidateQueries({ queryKey: key });
  switch (event.type) {
    case 'job':
      touch('jobs', event.project);
      break;
    case 'machine':
      touch('machine');
      break;
    case 'volume':
      touch('volumes', event.project);
      break;
    case 'image':
      touch('images', event.project);
      break;
    case 'project':
      touch('projects');
      touch('contents', event.project);
      break;
    case 'member':
      touch('members', event.project);
      break;
    case 'robot':
      touch('robots', event.project ?? '');
      break;
    case 'group':
      touch('groups');
      break;
    case 'secret':
      touch('secrets', event.project);
      break;
    case 'user':
      touch('users');
      break;
    case 'token':
      touch('tokens');
      break;
    case 'replication':
      touch('replication', 'runs');
      break;
    case 'pipeline':
      touch('pipelines', event.project);
      break;
    case 'run':
      touch('runs', event.project);
      touch('pipelines', event.project, 'list');
      break;
    case 'audit':
      refreshAudit();
      break;
    case 'me': // what was refused may be allowed now, and the other way round
      void queryClient.invalidateQueries();
      break;
  }
}

let auditTimer: ReturnType<typeof setTimeout> | undefined;

/** Every change of anybody is an entry: read together what comes together. */
function refreshAudit() {
  auditTimer ??= setTimeout(() => {
    auditTimer = undefined;
    void queryClient.invalidateQueries({ queryKey: ['audit'] });
  }, 500);
}

const AGAIN_MS = 1500;

/** All pages of a list, fetched as the reader asks for more. `params`: what the list is filtered by; while that
 * changes, the rows before stay in sight. `goesOn`: rows that change without an event; looked at again while there is one. */
export function usePages<T>(
  key: readonly unknown[],
  url: string,
  options: { enabled?: boolean; limit?: number; params?: Record<string, string>; goesOn?: (row: T) => boolean } = {},
): UseInfiniteQueryResult<InfiniteData<Page<T>>, ApiError> & { items: T[] } {
  const result = useInfiniteQuery<Page<T>, ApiError, InfiniteData<Page<T>>, readonly unknown[], string | null>({
    queryKey: [...key, options.params ?? {}],
    queryFn: ({ pageParam, signal }) => {
      const u = new URL(url, location.origin);
      for (const [name, value] of Object.entries(options.params ?? {})) {
        if (value) {
          u.searchParams.set(name, value);
        }
      }
      u.searchParams.set('limit', String(options.limit ?? 100));
      if (pageParam) {
        u.searchParams.set('after', pageParam);
      }
      return get<Page<T>>(u.pathname + u.search, signal);
    },
    initialPageParam: null,
    getNextPageParam: (last) => last.next,
    enabled: options.enabled,
    refetchInterval: ({ state }) => (options.goesOn && state.data?.pages.some((p) => p.items.some(options.goesOn!)) ? AGAIN_MS : false),
    placeholderData: (old, query) => (query && JSON.stringify(query.queryKey.slice(0, -1)) === JSON.stringify(key) ? old : undefined),
  });
  return Object.assign(result, { items: result.data?.pages.flatMap((p) => p.items) ?? [] });
}

const useGet = <T>(key: readonly unknown[], url: string, enabled = true): UseQueryResult<T, ApiError> =>
  useQuery<T, ApiError>({ queryKey: key, queryFn: ({ signal }) => get<T>(url, signal), enabled });

export const useProjects = () => useGet<Page<Project>>(['projects'], '/api/v1/projects?limit=1000');
export const useNodes = () => useGet<Page<Node>>(['machine', 'nodes'], '/api/v1/nodes');
export const useQueue = () => useGet<Queue>(['machine', 'queue'], '/api/v1/queue');
export const useHealth = (enabled: boolean) => useGet<Page<HealthRow>>(['health'], '/api/v1/health', enabled);

export const useJobs = (project: string | null, states: string, limit: number) =>
  useGet<Page<Job>>(
    ['jobs', project, states, limit],
    path`/api/v1/projects/${project ?? ''}/jobs` + `?limit=${limit}&state=${states}`,
    project !== null,
  );

export { useGet };
