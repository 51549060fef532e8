// Images: the lists of /api/v1 for pages, and /v2/ (OCI distribution-spec 1.1) by the session for what is inside.
import { useQuery } from '@tanstack/react-query';
import { ApiError, api, csrfHeaders, get, path, filePath, currentSession, refused, type Page } from './client';
import { useGet, usePages } from './queries';
import type { Repository, Tag, TrashItem, TrashRestored } from './types';

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
  platform?: { os?: string; architecture?: string; variant?: string };
}

export interface Manifest {
  mediaType?: string;
  artifactType?: string;
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
  annotations?: Record<string, string>;
}

export interface ImageConfig {
  created?: string;
  author?: string;
  architecture?: string;
  os?: string;
  variant?: string;
  config?: {
    User?: string;
    Env?: string[] | null;
    Entrypoint?: string[] | null;
    Cmd?: string[] | null;
    WorkingDir?: string;
    Labels?: Record<string, string> | null;
    ExposedPorts?: Record<string, unknown> | null;
    Volumes?: Record<string, unknown> | null;
    StopSignal?: string;
  };
  history?: { created?: string; created_by?: string; comment?: string; empty_layer?: boolean }[];
}

export interface StoredManifest {
  digest: string;
  mediaType: string;
  size: number;
  text: string;
  manifest: Manifest;
}

// --- /api/v1 ---

export const useRepositories = (project: string, q = '', label = '') =>
  usePages<Repository>(['images', project, 'repositories'], path`/api/v1/projects/${project}/repositories`, { params: { q, label } });

/** undefined: not read yet, or there is none. */
export const useRepository = (project: string, name: string): Repository | undefined =>
  useGet<Page<Repository>>(
    ['images', project, 'repository', name],
    path`/api/v1/projects/${project}/repositories` + `?limit=1000&q=${encodeURIComponent(name)}`,
  ).data?.items.find((r) => r.name === name);

export const repositoryUrl = (project: string, repository: string) => path`/api/v1/projects/${project}/repositories/` + filePath(repository);
export const tagsUrl = (project: string, repository: string) => `${repositoryUrl(project, repository)}/tags`;

export const useTags = (project: string, repository: string, q = '', label = '') =>
  usePages<Tag>(['images', project, repository, 'tags'], tagsUrl(project, repository), { params: { q, label } });

/** All tags that name this image. */
export const tagsOf = (project: string, repository: string, digest: string) =>
  get<Page<Tag>>(`${tagsUrl(project, repository)}?limit=1000&q=${encodeURIComponent(digest)}`).then((page) => page.items);

export const useTagsOf = (project: string, repository: string, digest: string | undefined) =>
  useQuery<Tag[], ApiError>({
    queryKey: ['images', project, repository, 'tags-of', digest],
    enabled: digest !== undefined,
    queryFn: () => tagsOf(project, repository, digest ?? ''),
  });

export const deleteTag = (project: string, repository: string, tag: string) =>
  api<void>('DELETE', `${tagsUrl(project, repository)}/${encodeURIComponent(tag)}`);

export const deleteRepository = (project: string, repository: string) =>
  api<void>('DELETE', repositoryUrl(project, repository));

// --- /v2/ ---

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');
const CONFIG_BYTES_MAX = 8 * 1024 * 1024;

/** Errors come in the form of OCI: {"errors":[{"code","message"}]}. */
async function v2Error(response: Response): Promise<ApiError> {
  const id = response.headers.get('X-Request-Id');
  try {
    const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
    return new ApiError(response.status, errors[0]?.code.toLowerCase() ?? 'unknown', errors[0]?.message ?? '', id);
  } catch {
    return new ApiError(response.status, 'unknown', response.statusText || `HTTP ${response.status}`, id);
  }
}

async function v2(method: string, url: string, init: RequestInit = {}, isFine: (status: number) => boolean = () => false): Promise<Response> {
  const session = currentSession();
  let response: Response;
  try {
    response = await fetch(url, { ...init, method, credentials: 'same-origin', headers: { ...csrfHeaders(), ...init.headers } });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') {
      throw cause;
    }
    throw new ApiError(0, 'unreachable', 'The server cannot be reached.', null);
  }
  if (!response.ok && !isFine(response.status)) {
    if (response.status === 401) {
      refused(session);
    }
    throw await v2Error(response);
  }
  return response;
}

/** `reference`: a tag or a digest. */
export const useManifest = (project: string, repository: string, reference: string | null) =>
  useQuery<StoredManifest, ApiError>({
    queryKey: ['images', project, repository, 'manifest', reference],
    enabled: reference !== null,
    queryFn: async ({ signal }) => {
      const response = await v2('GET', `/v2/${filePath(`${project}/${repository}`)}/manifests/${encodeURIComponent(reference ?? '')}`, {
        signal,
        headers: { Accept: ACCEPT },
      });
      const text = await response.text();
      return {
        digest: response.headers.get('Docker-Content-Digest') ?? '',
        mediaType: response.headers.get('Content-Type') ?? '',
        size: new Blob([text]).size,
        text,
        manifest: JSON.parse(text) as Manifest,
      };
    },
  });

export const isImageConfig = (d: Descriptor | undefined) =>
  d?.mediaType === 'application/vnd.oci.image.config.v1+json' || d?.mediaType === 'application/vnd.docker.container.image.v1+json';

export function useImageConfig(project: string, repository: string, config: Descriptor | undefined) {
  const isOne = isImageConfig(config) && (config?.size ?? 0) <= CONFIG_BYTES_MAX;
  return useQuery<ImageConfig, ApiError>({
    queryKey: ['images', project, repository, 'config', config?.digest],
    enabled: isOne,
    staleTime: Infinity, // a digest never changes
    queryFn: async ({ signal }) =>
      (await (await v2('GET', `/v2/${filePath(`${project}/${repository}`)}/blobs/${config?.digest ?? ''}`, { signal })).json()) as ImageConfig,
  });
}

// --- pushing; `repository` with its project ---

const v2Path = (repository: string) => `/v2/${filePath(repository)}`;

export async function blobExists(repository: string, digest: string, signal: AbortSignal): Promise<boolean> {
  return (await v2('HEAD', `${v2Path(repository)}/blobs/${digest}`, { signal }, (status) => status === 404)).ok;
}

/** Where to go on: only on this server, whatever the answer says. */
function locationOf(response: Response): string {
  const u = new URL(response.headers.get('Location') ?? '', location.origin);
  return u.pathname + u.search;
}

export async function startUpload(repository: string, signal: AbortSignal): Promise<string> {
  return locationOf(await v2('POST', `${v2Path(repository)}/blobs/uploads/`, { signal }));
}

export async function patchUpload(url: string, part: Blob, at: number, signal: AbortSignal): Promise<string> {
  const headers = { 'Content-Type': 'application/octet-stream', 'Content-Range': `${at}-${at + part.size - 1}` };
  return locationOf(await v2('PATCH', url, { signal, headers, body: part }));
}

export async function finishUpload(url: string, digest: string, signal: AbortSignal): Promise<void> {
  await v2('PUT', `${url}${url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`, { signal });
}

export async function cancelUpload(url: string): Promise<void> {
  await v2('DELETE', url, {}, () => true).catch(() => undefined);
}

export async function putManifest(repository: string, reference: string, mediaType: string, body: Uint8Array, signal: AbortSignal) {
  const url = `${v2Path(repository)}/manifests/${encodeURIComponent(reference)}`;
  await v2('PUT', url, { signal, headers: { 'Content-Type': mediaType }, body: body as BufferSource as BodyInit });
}


export const useTrash = (project: string, q = '') =>
  usePages<TrashItem>(['images', project, 'trash'], path`/api/v1/projects/${project}/trash`, { params: { q } });

export const restoreTrash = (project: string, id: number) => api<TrashRestored>('POST', path`/api/v1/projects/${project}/trash/${String(id)}/restore`);
export const dropTrash = (project: string, id: number) => api<void>('DELETE', path`/api/v1/projects/${project}/trash/${String(id)}`);
export const emptyTrash = (project: string) => api<void>('DELETE', path`/api/v1/projects/${project}/trash`);
