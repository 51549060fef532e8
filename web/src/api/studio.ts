// Pipelines, their modules and runs: what pages read, and what they do (docs/formats/pipeline.md).
import { useQuery } from '@tanstack/react-query';
import { ApiError, api, get, path } from './client';
import { queryClient, useGet, usePages } from './queries';
import type { components } from './schema';

type Schemas = components['schemas'];

export type PortType = Schemas['PortType'];
export type Port = Schemas['ModulePort'];
/** Those of containers may say what people call them. */
export type Param = Schemas['ModuleParam'] & { label?: string };
export type Module = Omit<Schemas['Module'], 'params'> & { params: Param[] };

export type Value = Schemas['PipelineValue'];
type Place = [number, number];
export type DocNode = Omit<Schemas['PipelineNode'], 'at'> & { at?: Place };
export type DocParam = Schemas['PipelineParam'];
export type DocComment = Omit<Schemas['PipelineComment'], 'at' | 'size'> & { at: Place; size?: Place };
/** A document as the editor has it: with nodes, even where it has none. */
export type Doc = Omit<Schemas['PipelineDocument'], 'nodes' | 'comments'> & { nodes: Record<string, DocNode>; comments?: DocComment[] };

export type GraphMistake = Schemas['PipelineMistake'];
export type Column = Schemas['PipelineColumn'];
export type Shape = Schemas['PipelinePortCheck'];
export type Checked = Schemas['PipelineCheck'];
export type Schedule = Schemas['PipelineScheduleNew'];

export type RunState = Schemas['RunState'];
export type NodeState = Schemas['RunNodeState'];
export type RunNode = Schemas['RunNode'];
/** A run in a list has no steps. */
export type Run = Schemas['RunRow'] & Partial<Pick<Schemas['Run'], 'nodes'>>;
export type RunRequest = Schemas['RunNew'];

export type PipelineRow = Schemas['PipelineRow'];
export type Pipeline = PipelineRow & { document: Doc };
export type VersionRow = Schemas['PipelineVersion'];

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
