// Labels: those that images of a project may have, and those of one image.
import { api, path } from './client';
import { queryClient, useGet, usePages } from './queries';
import { repositoryUrl } from './registry';
import type { Page } from './client';
import type { ImageLabel, Label } from './types';

export type Scope = Label['scope'];
export interface LabelFields {
  name: string;
  description: string;
  color: string;
}

// Below ['images', project]: what changes them makes images be read again, and the other way round.
const listUrl = (project: string, scope: Scope) => (scope === 'global' ? '/api/v1/labels' : path`/api/v1/projects/${project}/labels`);
const touch = (project: string) => queryClient.invalidateQueries({ queryKey: ['images', project] });

export const useLabels = (project: string, q = '') =>
  usePages<Label>(['images', project, 'labels'], listUrl(project, 'project'), { params: { q } });

export const useAllLabels = (project: string) =>
  useGet<Page<Label>>(['images', project, 'labels', 'all'], `${listUrl(project, 'project')}?limit=1000`);

/** `name` null: a new one. */
export async function saveLabel(project: string, scope: Scope, name: string | null, body: LabelFields) {
  await (name === null
    ? api<Label>('POST', listUrl(project, scope), { body })
    : api<Label>('PATCH', listUrl(project, scope) + path`/${name}`, { body }));
  await touch(project);
}

export async function deleteLabel(project: string, label: Label) {
  await api<void>('DELETE', listUrl(project, label.scope) + path`/${label.name}`);
  await touch(project);
}

export interface ImageOf {
  project: string;
  repository: string;
  reference: string;
}

export const imageLabelsUrl = (of: ImageOf) => `${repositoryUrl(of.project, of.repository)}/artifacts/${encodeURIComponent(of.reference)}/labels`;

export const useImageLabels = (of: ImageOf) =>
  useGet<Page<ImageLabel>>(['images', of.project, of.repository, 'labels-of', of.reference], imageLabelsUrl(of));

export async function setImageLabel(of: ImageOf, label: string, has: boolean) {
  await api<void>(has ? 'PUT' : 'DELETE', imageLabelsUrl(of) + path`/${label}`);
  await touch(of.project);
}
