// Robots and groups: what their pages read and change. A robot's home is its project, or '' for the system.
import { api, path } from './client';
import { queryClient, useGet, usePages } from './queries';
import type { Group, GroupShown, Robot, RobotGrant, RobotSecret } from './types';

const touch = (...key: string[]) => queryClient.invalidateQueries({ queryKey: key });

// --- robots ---

const robotsPath = (home: string) => (home ? path`/api/v1/projects/${home}/robots` : '/api/v1/robots');
const robotPath = (home: string, name: string) => robotsPath(home) + path`/${name}`;

export interface RobotBody {
  name?: string;
  description?: string;
  expires_in_seconds?: number | null;
  disabled?: boolean;
  permissions?: string[]; // of a project's robot
  grants?: RobotGrant[]; // of one of the system
}

export const useRobots = (home: string, q: string) => usePages<Robot>(['robots', home], robotsPath(home), { params: { q } });

export async function createRobot(home: string, body: RobotBody): Promise<RobotSecret> {
  const made = await api<RobotSecret>('POST', robotsPath(home), { body });
  await touch('robots', home);
  return made;
}

export async function changeRobot(home: string, name: string, body: RobotBody) {
  await api<Robot>('PATCH', robotPath(home, name), { body });
  await touch('robots', home);
}

export async function rotateRobot(home: string, name: string): Promise<RobotSecret> {
  const made = await api<RobotSecret>('POST', robotPath(home, name) + '/rotate');
  await touch('robots', home);
  return made;
}

export async function deleteRobot(home: string, name: string) {
  await api<void>('DELETE', robotPath(home, name));
  await touch('robots', home);
}

// --- groups ---

export const useGroups = (q: string) => usePages<Group>(['groups'], '/api/v1/groups', { params: { q } });
export const useGroup = (name: string) => useGet<GroupShown>(['groups', name], path`/api/v1/groups/${name}`);

export async function createGroup(body: { name: string; description: string }) {
  await api<GroupShown>('POST', '/api/v1/groups', { body });
  await touch('groups');
}

export async function deleteGroup(name: string) {
  await api<void>('DELETE', path`/api/v1/groups/${name}`);
  await touch('groups');
}

export async function addToGroup(name: string, user: string) {
  await api<void>('PUT', path`/api/v1/groups/${name}/members/${user}`);
  await touch('groups');
}

export async function removeFromGroup(name: string, user: string) {
  await api<void>('DELETE', path`/api/v1/groups/${name}/members/${user}`);
  await touch('groups');
}
