// Volumes and what is in them: what pages read, and what they do.
import { useInfiniteQuery, type InfiniteData } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, ApiError, get, path, type Page } from './client';
import { cursorBefore, dirUrl, fileUrl, joinRaw, treeUrl, volumesUrl, volumeUrl, type Place } from './files';
import { live } from './live';
import { queryClient, useGet, usePages } from './queries';
import type { Entry, Job, Volume } from './types';

export const useVolumes = (project: string) => usePages<Volume>(['volumes', project], volumesUrl(project));
export const useVolume = (p: Place) => useGet<Volume>(['volumes', p.project, p.volume], volumeUrl(p));

const PAGE = 500;
const MANY_PAGES = 4; // so many pages are read again by themselves; more only when the reader asks

type Tree = InfiniteData<Page<Entry>, string | null>;
const treeKey = (p: Place, raw: string, from: string) => ['tree', p.project, p.volume, raw, from] as const;

/** The entries of a folder, page by page, from the first name that is not before `from`. */
export function useTree(p: Place, raw: string, from: string) {
  const key = treeKey(p, raw, from);
  const result = useInfiniteQuery<Page<Entry>, ApiError, Tree, readonly unknown[], string | null>({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      get<Page<Entry>>(`${treeUrl(p, raw)}?limit=${PAGE}${pageParam ? `&after=${encodeURIComponent(pageParam)}` : ''}`, signal),
    initialPageParam: cursorBefore(from),
    getNextPageParam: (last) => last.next,
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
          void queryClient.invalidateQueries({ queryKey: treeKey(p, raw, from) });
        } else {
          setChanged(true); // reading a hundred pages again at each event would never end
        }
      }),
    [p.project, p.volume, raw, from, pages], // eslint-disable-line
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
