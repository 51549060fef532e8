// What all images take on disk, giving back what nothing uses, and the check that files and tables agree.
import { useQuery } from '@tanstack/react-query';
import { ApiError, api, get } from './client';
import { queryClient, usePages } from './queries';
import type { RegistryCheck, RegistryFinding, RegistryFreed, RegistryStorage } from './types';

const AGAIN_MS = 1000; // while a check runs
const LOOK_MS = 10_000;

const touch = () => queryClient.invalidateQueries({ queryKey: ['storage'] });

export const isChecking = (check: RegistryCheck | null | undefined) => Boolean(check && !check.ended_at);

export const useStorage = () =>
  useQuery<RegistryStorage, ApiError>({
    queryKey: ['storage'],
    queryFn: ({ signal }) => get('/api/v1/registry/storage', signal),
    refetchInterval: ({ state }) => (isChecking(state.data?.last_fsck) ? AGAIN_MS : LOOK_MS),
  });

/** `at`: which check, so that those of the one before are not shown. */
export const useFindings = (at: string, q: string) =>
  usePages<RegistryFinding>(['storage', 'findings', at], '/api/v1/registry/fsck/findings', { limit: 100, params: { q } });

/** One call deletes a limited number; more follow until nothing is left to delete. */
export async function collectAll(): Promise<RegistryFreed> {
  const sum: RegistryFreed = { blobs: 0, bytes: 0, more: true };
  while (sum.more) {
    const freed = await api<RegistryFreed>('POST', '/api/v1/registry/collect');
    sum.blobs += freed.blobs;
    sum.bytes += freed.bytes;
    sum.more = freed.more && freed.blobs > 0;
  }
  await touch();
  return sum;
}

export async function startCheck(body: { deep: boolean; repair: boolean }) {
  await api<RegistryCheck>('POST', '/api/v1/registry/fsck', { body });
  await touch();
}
