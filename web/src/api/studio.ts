// Pipelines, their modules and runs: what pages read, and what they do (docs/formats/pipeline.md).
import { useQuery } from '@tanstack/react-query';
import { ApiError, api, get, path } from './client';
import { queryClient, useGet, usePages } from './queries';

export type PortType = 'table' | 'model' | 'transform' | 'report' | 'file';

export interface Port {
  name: string;
  type: PortType;
  optional?: boolean;
  help?: string;
}

export type ParamType = 'int' | 'real' | 'bool' | 'text' | 'choice' | 'ints' | 'path' | 'column' | 'columns' | 'code';

export interface Param {
  name: string;
  label?: string;
  type: ParamType;
  required?: boolean;
  default?: unknown;
  min?: number;
  max?: number;
  choices?: string[];
  help?: string;
}

export interface Module {
  name: string;
  version?: string;
  title?: string;
  description?: string;
  category?: string;
  kind?: 'native' | 'container' | 'import' | 'script';
  inputs: Port[];
  outputs: Port[];
  params: Param[];
}

export type Value = string | number | boolean;

export interface DocNode {
  module: string;
  title?: string;
  at?: [number, number];
  params?: Record<string, Value>;
  inputs?: Record<string, string>; // port -> node.port
  cache?: boolean;
}

export interface DocParam {
  name: string;
  type: string;
  default?: Value;
  help?: string;
}

export interface DocComment {
  text: string;
  at: [number, number];
  size?: [number, number];
}

export interface Doc {
  pipeline: number;
  description?: string;
  volume?: string;
  params?: DocParam[];
  nodes: Record<string, DocNode>;
  comments?: DocComment[];
}

export interface Fix {
  text?: string;
  param?: { name: string; value: Value };
  insert?: { module: string; port: string; params?: Record<string, Value> };
}

export interface GraphMistake {
  node?: string;
  port?: string;
  param?: string;
  column?: string;
  message: string;
  fix?: Fix;
}

export interface Column {
  name: string;
  type: string;
}

export interface Shape {
  type: PortType;
  open?: boolean; // more columns may come
  columns?: Column[];
  task?: string;
  label?: string;
}

export interface Checked {
  ok: boolean;
  mistakes: GraphMistake[];
  nodes: Record<string, { outputs?: Record<string, Shape> }>;
}

export interface Schedule {
  cron: string;
  timezone?: string;
  params?: Record<string, Value>;
  enabled?: boolean;
  /** Why the server paused it. */
  paused?: string;
  next_at?: string | null;
}

export type RunState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
export type NodeState = 'waiting' | 'cached' | 'queued' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'cancelled';

export interface RunOutput {
  type: PortType;
  rows?: number;
  columns?: number;
  bytes?: number;
  sha256?: string;
  preview?: boolean;
}

export interface RunNode {
  state: NodeState;
  done?: number | null;
  text?: string | null;
  job?: string | null;
  started_at?: string | null;
  finished_at?: string | null;
  cache?: { hit: boolean; why: string } | null;
  metrics?: Record<string, unknown>;
  outputs?: Record<string, RunOutput> | null;
  error?: { message: string; kind?: string } | null;
}

export interface Run {
  id: number;
  pipeline: string;
  version: number;
  state: RunState;
  params?: Record<string, Value> | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  by: string;
  to?: string | null;
  from?: string | null;
  nodes?: Record<string, RunNode>;
}

export interface PipelineRow {
  name: string;
  description?: string;
  version: number;
  updated_at: string;
  updated_by: string;
  schedule?: Schedule | null;
  last_run?: Pick<Run, 'id' | 'state' | 'created_at'> | null;
}

export type Pipeline = PipelineRow & { document: Doc };
export type VersionRow = Pick<PipelineRow, 'version' | 'updated_at' | 'updated_by'>;

export const pipelinesUrl = (project: string) => path`/api/v1/projects/${project}/pipelines`;
export const pipelineUrl = (project: string, name: string) => path`/api/v1/projects/${project}/pipelines/${name}`;
export const runsUrl = (project: string) => path`/api/v1/projects/${project}/runs`;
export const runUrl = (project: string, id: string | number) => path`/api/v1/projects/${project}/runs/${String(id)}`;
export const outputUrl = (project: string, run: string | number, node: string, port: string) =>
  path`/api/v1/projects/${project}/runs/${String(run)}/nodes/${node}/outputs/${port}`;
export const nodeLogUrl = (project: string, run: string | number, node: string) => path`/api/v1/projects/${project}/runs/${String(run)}/nodes/${node}/log`;

/** Pages of the console. */
export const pipelinePage = (project: string, name: string) => path`/p/${project}/pipelines/${name}`;
export const runPage = (project: string, id: string | number) => path`/p/${project}/runs/${String(id)}`;

const FINISHED = ['succeeded', 'failed', 'cancelled'];
export const isOver = (run: { state: string }) => FINISHED.includes(run.state);

export const useModules = (project: string) =>
  useQuery<Module[], ApiError>({
    queryKey: ['modules', project],
    queryFn: async ({ signal }) => (await get<{ modules: Module[] }>(path`/api/v1/projects/${project}/modules`, signal)).modules,
    staleTime: 60_000,
  });

export const usePipelines = (project: string, q: string) => usePages<PipelineRow>(['pipelines', project, 'list'], pipelinesUrl(project), { params: { q } });
export const usePipeline = (project: string, name: string) => useGet<Pipeline>(['pipelines', project, 'one', name], pipelineUrl(project, name), name !== '');
export const useVersions = (project: string, name: string) =>
  usePages<VersionRow>(['pipelines', project, 'versions', name], `${pipelineUrl(project, name)}/versions`);
export const useVersion = (project: string, name: string, version: number | null) =>
  useGet<Pipeline>(['pipelines', project, 'version', name, version], `${pipelineUrl(project, name)}/versions/${version}`, version !== null);

export const useRuns = (project: string, params: Record<string, string>) =>
  usePages<Run>(['runs', project, 'list'], runsUrl(project), { params, goesOn: (r) => !isOver(r) });
export const useRun = (project: string, id: string) => useGet<Run>(['runs', project, 'one', id], runUrl(project, id), id !== '');

export const check = (project: string, doc: Doc, signal: AbortSignal) => api<Checked>('POST', `${pipelinesUrl(project)}/check`, { body: doc, signal });

const touched = (project: string, what: 'pipelines' | 'runs') => void queryClient.invalidateQueries({ queryKey: [what, project] });

export async function createPipeline(project: string, name: string, doc: Doc): Promise<Pipeline> {
  const made = await api<Pipeline>('POST', pipelinesUrl(project), { body: { name, document: doc } });
  touched(project, 'pipelines');
  return made;
}

/** A new version on top of `version`; when that is not the newest any more the server refuses (412). */
export async function savePipeline(project: string, name: string, version: number, doc: Doc): Promise<Pipeline> {
  const saved = await api<Pipeline>('PUT', pipelineUrl(project, name), { body: doc, headers: { 'If-Match': `"${version}"` } });
  touched(project, 'pipelines');
  return saved;
}

export async function deletePipeline(project: string, name: string): Promise<void> {
  await api<void>('DELETE', pipelineUrl(project, name));
  touched(project, 'pipelines');
}

export async function saveSchedule(project: string, name: string, schedule: Schedule | null): Promise<void> {
  const url = `${pipelineUrl(project, name)}/schedule`;
  await (schedule ? api<unknown>('PUT', url, { body: schedule }) : api<void>('DELETE', url));
  touched(project, 'pipelines');
}

export interface RunRequest {
  version?: number;
  params?: Record<string, Value>;
  to?: string;
  from?: string;
  cache?: boolean;
}

export async function startRun(project: string, name: string, body: RunRequest): Promise<Run> {
  const run = await api<Run>('POST', `${pipelineUrl(project, name)}/runs`, { body });
  touched(project, 'runs');
  return run;
}

async function act(project: string, id: string | number, verb: 'cancel' | 'retry'): Promise<Run> {
  const run = await api<Run>('POST', `${runUrl(project, id)}/${verb}`);
  touched(project, 'runs');
  return run;
}

export const cancelRun = (project: string, id: string | number) => act(project, id, 'cancel');
export const retryRun = (project: string, id: string | number) => act(project, id, 'retry');

export async function deleteRun(project: string, id: string | number): Promise<void> {
  await api<void>('DELETE', runUrl(project, id));
  touched(project, 'runs');
}
