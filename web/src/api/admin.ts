// Users, projects, members, secrets, tokens, audit: what the pages of administrators and maintainers read and change.
import { api, path, type Page } from './client';
import { queryClient, useGet, usePages } from './queries';
import type { AuditEntry, Member, Project, Role, Secret, Setting, Token, TokenMade, User } from './types';

export type { AuditEntry, Member, Secret, Setting } from './types';

export type PermissionTable = { roles: Record<string, string[]> };

const touch = (...key: string[]) => queryClient.invalidateQueries({ queryKey: key });

// --- users ---

export const useUsers = (params: { q: string; kind: string }) => usePages<User>(['users'], '/api/v1/users', { params });

export async function createUser(body: { name: string; password: string; is_admin: boolean }) {
  await api<User>('POST', '/api/v1/users', { body });
  await touch('users');
}

export async function changeUser(name: string, body: { password?: string; is_admin?: boolean; disabled?: boolean }) {
  await api<User>('PATCH', path`/api/v1/users/${name}`, { body });
  await touch('users');
}

export async function deleteUser(name: string) {
  await api<void>('DELETE', path`/api/v1/users/${name}`);
  await touch('users');
}

// --- projects ---

export const useAllProjects = (q: string) => usePages<Project>(['projects', 'pages'], '/api/v1/projects', { params: { q } });

export const useMembers = (project: string, q = '') =>
  usePages<Member>(['members', project], path`/api/v1/projects/${project}/members`, { limit: 100, params: { q } });

export type MemberKind = Member['kind'];
export const memberName = (m: Member) => m.user ?? m.group ?? '';

const memberPath = (project: string, kind: MemberKind, name: string) =>
  kind === 'group' ? path`/api/v1/projects/${project}/groups/${name}` : path`/api/v1/projects/${project}/members/${name}`;

export async function setMember(project: string, kind: MemberKind, name: string, role: Role) {
  await api<void>('PUT', memberPath(project, kind, name), { body: { role } });
  await touch('members', project);
}

export async function removeMember(project: string, kind: MemberKind, name: string) {
  await api<void>('DELETE', memberPath(project, kind, name));
  await touch('members', project);
}

export async function setPublic(project: string, isPublic: boolean) {
  await api('PATCH', path`/api/v1/projects/${project}`, { body: { public: isPublic } });
  await touch('projects');
}

export async function setDescription(project: string, description: string) {
  await api('PATCH', path`/api/v1/projects/${project}`, { body: { description } });
  await touch('projects');
}

export const logoUrl = (project: string) => path`/api/v1/projects/${project}/logo`;

/** null: none any more. */
export async function setLogo(project: string, picture: Blob | null) {
  await (picture ? api<void>('PUT', logoUrl(project), { bytes: picture }) : api<void>('DELETE', logoUrl(project)));
  await touch('projects');
}

export async function deleteProject(project: string) {
  await api<void>('DELETE', path`/api/v1/projects/${project}`);
  await touch('projects');
}

// --- secrets: names only, values go in and never come out ---

export const useSecrets = (project: string, enabled: boolean) =>
  useGet<Page<Secret>>(['secrets', project], path`/api/v1/projects/${project}/secrets`, enabled);

export async function setSecret(project: string, name: string, value: string) {
  await api<void>('PUT', path`/api/v1/projects/${project}/secrets/${name}`, { body: { value } });
  await touch('secrets', project);
}

export async function deleteSecret(project: string, name: string) {
  await api<void>('DELETE', path`/api/v1/projects/${project}/secrets/${name}`);
  await touch('secrets', project);
}

// --- the system ---

export interface AuditFilter {
  user: string;
  project: string;
  q: string;
  since: string; // RFC 3339 in UTC, or empty
  until: string;
}

export function auditUrl(filter: AuditFilter & { format?: string }, what: '' | '/export' = ''): string {
  const set = Object.entries(filter).filter(([, value]) => value !== '') as [string, string][];
  return `/api/v1/audit${what}` + (set.length ? `?${new URLSearchParams(set).toString()}` : '');
}

export const useAudit = (filter: AuditFilter) => usePages<AuditEntry>(['audit', filter], auditUrl(filter), { limit: 100 });
export const useSettings = () => useGet<Page<Setting>>(['settings'], '/api/v1/settings');
export const usePermissions = () => useGet<PermissionTable>(['permissions'], '/api/v1/permissions');

// --- my own ---

export const useTokens = () => usePages<Token>(['tokens'], '/api/v1/tokens', { limit: 1000 });

export async function createToken(body: { name: string; expires_in_seconds?: number; scopes?: string[] }): Promise<TokenMade> {
  const made = await api<TokenMade>('POST', '/api/v1/tokens', { body });
  await touch('tokens');
  return made;
}

export async function deleteToken(id: number) {
  await api<void>('DELETE', `/api/v1/tokens/${id}`);
  await touch('tokens');
}

export const changePassword = (old: string, fresh: string) => api<void>('PUT', '/api/v1/me/password', { body: { old, new: fresh } });
