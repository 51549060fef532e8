// What a project decided about its images: space, tags that never change, tags that stay, and who is told.
import { useQuery } from '@tanstack/react-query';
import { ApiError, api, get, path } from './client';
import { queryClient, useGet, usePages } from './queries';
import type {
  ImagePolicy,
  ImageQuota,
  RetentionRow,
  RetentionRun,
  Webhook,
  WebhookChange,
  WebhookDelivery,
  WebhookDeliveryWhole,
  WebhookNew,
} from './types';

const AGAIN_MS = 1500; // while something is under way that no event tells of

const touch = (...key: unknown[]) => queryClient.invalidateQueries({ queryKey: key });

// --- space; below ['images', project], so that pushes and deletions make it be read again ---

const quotaUrl = (project: string) => path`/api/v1/projects/${project}/quota`;

export const useQuota = (project: string) => useGet<ImageQuota>(['images', project, 'quota'], quotaUrl(project));

/** null: the default of the server. */
export async function setQuota(project: string, quota_bytes: number | null) {
  await api<ImageQuota>('PUT', quotaUrl(project), { body: { quota_bytes } });
  await touch('images', project, 'quota');
}

// --- rules ---

const policyUrl = (project: string) => path`/api/v1/projects/${project}/image-policy`;

export const usePolicy = (project: string) => useGet<ImagePolicy>(['image-policy', project], policyUrl(project));

/** Changes what is there now, not what this page read some time ago. */
export async function changePolicy(project: string, change: (policy: ImagePolicy) => ImagePolicy) {
  const now = await get<ImagePolicy>(policyUrl(project));
  await api<ImagePolicy>('PUT', policyUrl(project), { body: change(now) });
  await touch('image-policy', project);
}

// --- runs of the retention rules ---

const runsUrl = (project: string) => path`/api/v1/projects/${project}/retention/runs`;

export const useRetentionRuns = (project: string) => usePages<RetentionRun>(['image-policy', project, 'runs'], runsUrl(project), { limit: 50 });

export const useRetentionRun = (project: string, id: string) =>
  useGet<RetentionRun>(['image-policy', project, 'run', id], runsUrl(project) + path`/${id}`, id !== '');

export const useRetentionRows = (project: string, id: string) =>
  usePages<RetentionRow>(['image-policy', project, 'run', id, 'rows'], runsUrl(project) + path`/${id}/rows`, { limit: 200 });

export async function runRetention(project: string, dry_run: boolean): Promise<RetentionRun> {
  const run = await api<RetentionRun>('POST', runsUrl(project), { body: { dry_run } });
  await Promise.all([touch('image-policy', project), touch('images', project)]);
  return run;
}

// --- webhooks ---

const hooksUrl = (project: string) => path`/api/v1/projects/${project}/webhooks`;
const hookUrl = (project: string, id: number) => `${hooksUrl(project)}/${id}`;

export const useWebhooks = (project: string, enabled: boolean) => usePages<Webhook>(['webhooks', project], hooksUrl(project), { enabled });

export async function saveWebhook(project: string, old: Webhook | null, body: WebhookChange) {
  await (old ? api<Webhook>('PATCH', hookUrl(project, old.id), { body }) : api<Webhook>('POST', hooksUrl(project), { body: body as WebhookNew }));
  await touch('webhooks', project);
}

export async function deleteWebhook(project: string, id: number) {
  await api<void>('DELETE', hookUrl(project, id));
  await touch('webhooks', project);
}

export async function pingWebhook(project: string, id: number): Promise<WebhookDeliveryWhole> {
  const sent = await api<WebhookDeliveryWhole>('POST', `${hookUrl(project, id)}/ping`);
  await touch('webhooks', project);
  return sent;
}

export const useDeliveries = (project: string, id: number) =>
  usePages<WebhookDelivery>(['webhooks', project, id, 'deliveries'], `${hookUrl(project, id)}/deliveries`, { limit: 50, goesOn: (d) => d.state === 'waiting' });

export const useDelivery = (project: string, id: number, delivery: number) =>
  useQuery<WebhookDeliveryWhole, ApiError>({
    queryKey: ['webhooks', project, id, 'delivery', delivery],
    queryFn: ({ signal }) => get(`${hookUrl(project, id)}/deliveries/${delivery}`, signal),
    refetchInterval: ({ state }) => (state.data?.state === 'waiting' ? AGAIN_MS : false),
  });

export async function redeliver(project: string, id: number, delivery: number): Promise<WebhookDeliveryWhole> {
  const sent = await api<WebhookDeliveryWhole>('POST', `${hookUrl(project, id)}/deliveries/${delivery}/redeliver`);
  await touch('webhooks', project, id);
  return sent;
}
