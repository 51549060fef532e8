// What is known about an image, and what a project asks of its images.
import { api, path, type Page } from './client';
import { queryClient, useGet, usePages } from './queries';
import { repositoryUrl } from './registry';
import type { Accessory, ImageTrust, TrustKey, TrustPolicy, Vulnerability } from './types';

export type Severity = Vulnerability['severity'];
export const SEVERITIES = ['unknown', 'low', 'medium', 'high', 'critical'] as const satisfies readonly Severity[];

const artifactUrl = (project: string, repository: string, reference: string) =>
  `${repositoryUrl(project, repository)}/artifacts/${encodeURIComponent(reference)}`;

export const useTrust = (project: string, repository: string, reference: string) =>
  useGet<ImageTrust>(['images', project, repository, 'trust', reference], `${artifactUrl(project, repository, reference)}/trust`);

export const useAccessories = (project: string, repository: string, reference: string) =>
  useGet<Page<Accessory>>(['images', project, repository, 'accessories', reference], `${artifactUrl(project, repository, reference)}/accessories`);

export const useFindings = (project: string, repository: string, reference: string, severity: Severity, q: string) =>
  usePages<Vulnerability>(['images', project, repository, 'findings', reference], `${artifactUrl(project, repository, reference)}/vulnerabilities`, {
    params: { severity, q },
  });

export async function scan(project: string, repository: string, reference: string) {
  await api('POST', `${artifactUrl(project, repository, reference)}/scan`);
  await queryClient.invalidateQueries({ queryKey: ['images', project, repository] });
}

export async function stopScan(project: string, repository: string, reference: string) {
  await api('POST', `${artifactUrl(project, repository, reference)}/scan/stop`);
  await queryClient.invalidateQueries({ queryKey: ['images', project, repository] });
}

// --- of a project ---

const keysUrl = (project: string) => path`/api/v1/projects/${project}/trust-keys`;
const touchAll = (project: string) =>
  Promise.all([queryClient.invalidateQueries({ queryKey: ['trust', project] }), queryClient.invalidateQueries({ queryKey: ['images', project] })]);

export const useTrustKeys = (project: string) => useGet<Page<TrustKey>>(['trust', project, 'keys'], keysUrl(project));

export async function addTrustKey(project: string, body: { name: string; pem: string }) {
  await api('POST', keysUrl(project), { body });
  await touchAll(project);
}

export async function deleteTrustKey(project: string, name: string) {
  await api<void>('DELETE', `${keysUrl(project)}/${encodeURIComponent(name)}`);
  await touchAll(project);
}

const policyUrl = (project: string) => path`/api/v1/projects/${project}/trust-policy`;

export const useTrustPolicy = (project: string) => useGet<TrustPolicy>(['trust', project, 'policy'], policyUrl(project));

export async function setTrustPolicy(project: string, body: TrustPolicy) {
  await api('PUT', policyUrl(project), { body });
  await touchAll(project);
}
