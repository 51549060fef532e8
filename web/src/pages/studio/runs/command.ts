// The runs of a pipeline from a terminal.
import { runsUrl } from '../../../api/studio';
import type { Command } from '../../../components/AsCode';
import { quote } from '../../../components/shell';

export function runsCommand(project: string, pipeline: string, filters: { state?: string; q?: string } = {}): Command {
  const { state = '', q = '' } = filters;
  const query = new URLSearchParams({ ...(pipeline && { pipeline }), ...(state && { state }), ...(q && { q }) });
  const words = ['strata pipeline runs', pipeline && quote(pipeline), state && `--state ${state}`, q && `--filter ${quote(q)}`, `-p ${project}`];
  return { cli: words.filter(Boolean).join(' '), url: runsUrl(project) + (query.size > 0 ? `?${query}` : '') };
}
