// Volumes and what is in them: what pages read, and what they do.
import { useInfiniteQuery, type InfiniteData } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, ApiError, get, path, type Page } from './client';
import { cursorBefore, dirUrl, fileUrl, joinRaw, treeUrl, volumesUrl, volumeUrl, type Place } from './files';
import { live } from './live';
import { queryClient, useGet, usePages } from './queries';
import type { Entry, Job, Volume } from './types';

export const useVolumes = (project: string, q = '') => usePages<Volume>(['volumes', project, 'all'], volumesUrl(project), { params: { q } });
export const useVolume = (p: Place) => useGet<Volume>(['volumes', p.project, p.volume], volumeUrl(p));

const PAGE = 500;
const MANY_PAGES = 4; // so many pages are read again by themselves; more only when the reader asks

type Tree = InfiniteData<Page<Entry>, string | null>;

/** How a folder is shown; the server sorts and filters. */
export interface Look {
  from: string; // the first name that is not before this one; only when sorted by name, upwards
  q: string;
  sort: 'name' | 'size' | 'time';
  desc: boolean;
}

const treeKey = (p: Place, raw: string, look: Look) => ['tree', p.project, p.volume, raw, look] as const;

export function lookQuery({ q, sort, desc }: Look): URLSearchParams {
  const query = new URLSearchParams();
  if (q) {
    query.set('q', q);
  }
  if (sort !== 'name') {
    query.set('sort', sort);
  }
  if (desc) {
    query.set('desc', '1');
  }
  return query;
}

/** The entries of a folder, page by page. */
export function useTree(p: Place, raw: string, look: Look) {
  const key = treeKey(p, raw, look);
  const keyText = JSON.stringify(key);
  const result = useInfiniteQuery<Page<Entry>, ApiError, Tree, readonly unknown[], string | null>({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => {
      const query = lookQuery(look);
      query.set('limit', String(PAGE));
      if (pageParam) {
        query.set('after', pageParam);
      }
      return get<Page<Entry>>(`${treeUrl(p, raw)}?${query}`, signal);
    },
    initialPageParam: look.sort === 'name' && !look.desc ? cursorBefore(look.from) : null,
    getNextPageParam: (last) => last.next,
    // While a filter or the order changes, what was there stays in sight.
    placeholderData: (old, query) => (query && JSON.stringify(query.queryKey.slice(0, 4)) === JSON.stringify(key.slice(0, 4)) ? old : undefined),
  });
  const [changed, setChanged] = useState(false);
  const pages = result.data?.pages.length ?? 0;
  useEffect(
    () =>
      live.onEvent((e) => {
        if (e.type !== 'volume' || e.project !== p.project || e.name !== p.volume) {
          return;
        }
        if (pages <= MANY_PAGES) {
          void queryClient.invalidateQueries({ queryKey: key });
        } else {
          setChanged(true); // reading a hundred pages again at each event would never end
        }
      }),
    [keyText, pages], // eslint-disable-line
  );
  return {
    ...result,
    items: result.data?.pages.flatMap((page) => page.items) ?? [],
    changed,
    reread: () => {
      setChanged(false);
      void queryClient.resetQueries({ queryKey: key });
    },
  };
}

export const createVolume = (project: string, name: string) => api<Volume>('POST', volumesUrl(project), { body: { name } });
export const deleteVolume = (p: Place) => api<void>('DELETE', volumeUrl(p));
export const makeFolder = (p: Place, raw: string) => api<unknown>('POST', dirUrl(p, raw));
export const renameEntry = (p: Place, from: string, to: string, replace: boolean) =>
  api<void>('POST', `${volumeUrl(p)}/rename`, { body: { from_raw: from, to_raw: to, replace } });
export const deleteEntry = (p: Place, dir: string, name: string, isDir: boolean) =>
  api<void>('DELETE', fileUrl(p, joinRaw(dir, name)) + (isDir ? '?recursive=1' : ''));

/** What the server has now in this folder (all lists of it). */
export function refreshFolder(p: Place, raw: string) {
  void queryClient.invalidateQueries({ queryKey: ['volumes', p.project] });
  void queryClient.resetQueries({ queryKey: ['tree', p.project, p.volume, raw] });
}

/** The jobs that use a volume and are not finished: the server's 409 does not name them. */
export async function jobsUsing(p: Place): Promise<Job[]> {
  const jobs = path`/api/v1/projects/${p.project}/jobs`;
  const active = await get<Page<Job>>(`${jobs}?state=queued,starting,running&limit=50`);
  const full = await Promise.all(active.items.map((j) => get<Job>(`${jobs}/${j.id}`).catch(() => j)));
  return full.filter((j) => j.spec?.volumes?.some((v) => v.name === p.volume));
}
