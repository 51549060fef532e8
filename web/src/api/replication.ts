// Other registries, and the rules, runs and tasks that copy images to and from them.
import { api, path } from './client';
import { queryClient, usePages } from './queries';
import type { ReplicationRule, ReplicationRun, ReplicationTask, RemoteRegistry } from './types';

const touch = (...key: string[]) => queryClient.invalidateQueries({ queryKey: ['replication', ...key] });

export const useRegistries = (q = '') => usePages<RemoteRegistry>(['replication', 'registries'], '/api/v1/registries', { limit: 1000, params: { q } });
export const useRules = (q = '') => usePages<ReplicationRule>(['replication', 'rules'], '/api/v1/replication/rules', { params: { q } });
export const useRuns = (q = '') =>
  usePages<ReplicationRun>(['replication', 'runs'], '/api/v1/replication/runs', { limit: 50, params: { q }, goesOn: (r) => !r.ended_at });
export const useTasks = (id: number) =>
  usePages<ReplicationTask>(['replication', 'runs', id], `/api/v1/replication/runs/${id}/tasks`, { limit: 200, goesOn: (k) => !k.ended_at });

export interface RegistryFields {
  name: string;
  url: string;
  user: string;
  password?: string;
  ca_certificate: string;
  insecure: boolean;
}

/** `old`: the name of the one that is changed. An empty password keeps the one that is there. */
export async function saveRegistry(old: string | null, { name, password, ...rest }: RegistryFields) {
  const body = password ? { ...rest, password } : rest;
  await (old ? api('PATCH', path`/api/v1/registries/${old}`, { body }) : api('POST', '/api/v1/registries', { body: { name, ...body } }));
  await touch('registries');
}

export async function deleteRegistry(name: string) {
  await api<void>('DELETE', path`/api/v1/registries/${name}`);
  await touch('registries');
}

export const pingRegistry = (name: string) =>
  api<{ ok: boolean; error: string | null }>('POST', path`/api/v1/registries/${name}/ping`);

export type RuleFields = Omit<ReplicationRule, 'id' | 'created_by' | 'created_at' | 'next_run_at'>;

export async function saveRule(old: string | null, fields: Partial<RuleFields>) {
  await (old
    ? api('PATCH', path`/api/v1/replication/rules/${old}`, { body: fields })
    : api('POST', '/api/v1/replication/rules', { body: fields }));
  await touch('rules');
}

export async function deleteRule(name: string) {
  await api<void>('DELETE', path`/api/v1/replication/rules/${name}`);
  await touch();
}

export async function runRule(name: string) {
  await api('POST', path`/api/v1/replication/rules/${name}/run`);
  await touch('runs');
}

export async function stopRun(id: number) {
  await api('POST', `/api/v1/replication/runs/${id}/stop`);
  await touch('runs');
}
