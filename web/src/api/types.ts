// The things of the API, as docs/formats/api.md and /api/v1/openapi.json have them.

export type Role = 'guest' | 'developer' | 'maintainer' | 'admin' | 'anonymous';

export interface Me {
  name: string;
  is_admin: boolean;
  kind: 'session' | 'token' | 'password';
  scopes: string[] | null;
  projects: { name: string; role: Role }[];
  csrf?: string;
}

export interface Project {
  name: string;
  public: boolean;
  role: Role | null;
  created_at: string;
}

export type JobState = 'queued' | 'starting' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'lost';

export interface JobSpec {
  name?: string;
  project?: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: Record<string, string>;
  secrets?: Record<string, string>;
  workdir?: string;
  resources?: { cpu?: number | string; memory?: number | string; gpu?: number; pids?: number };
  volumes?: { name: string; path: string; mode?: 'ro' | 'rw' }[];
  network?: 'none' | 'bridge' | 'host';
  timeout?: string | number;
  grace?: string | number;
  retries?: number;
}

export interface Job {
  id: string;
  project: string;
  name: string;
  user: string;
  image: string;
  digest: string;
  state: JobState;
  reason: string;
  exit: { kind: 'exit' | 'signal' | 'oom' | 'timeout'; code: number; text: string } | null;
  attempt: number;
  retries: number;
  queue_position: number | null;
  cpu_milli: number;
  memory_bytes: number;
  gpus: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  log_bytes: number;
  usage: { memory_peak_bytes: number; cpu_usec: number };
  history?: { state: JobState; at: string; attempt: number; reason: string }[];
  spec?: JobSpec;
}

export interface Node {
  name: string;
  state: string;
  cpu_milli: number;
  cpu_milli_free: number;
  memory_bytes: number;
  memory_bytes_free: number;
  gpus: number;
  gpus_free: number;
  arch: string;
}

export interface Queue {
  queued: number;
  running: number;
}

export interface Volume {
  name: string;
  id: string;
  created_at: string;
  files: number | null;
  size_bytes: number | null;
}

export interface Entry {
  name: string;
  name_raw?: string;
  type: 'file' | 'dir' | 'link' | 'other';
  size_bytes: number;
  modified_at: string;
  mode: string | number;
}

export interface Repository {
  name: string;
  tags: number;
  size_bytes: number;
  updated_at: string;
}

export interface Tag {
  tag: string;
  digest: string;
  media_type: string;
  size_bytes: number;
  platform: string;
  pushed_at: string;
}

export interface User {
  name: string;
  is_admin: boolean;
  disabled: boolean;
  created_at: string;
  last_seen_at: string | null;
}

export interface Token {
  id: number;
  name: string;
  token?: string;
  expires_at: string | null;
  scopes: string[] | null;
  created_at: string;
  last_used_at: string | null;
}

export interface HealthRow {
  check: string;
  level: 'ok' | 'mended' | 'warn' | 'fail';
  found: string;
  mend: string;
}
