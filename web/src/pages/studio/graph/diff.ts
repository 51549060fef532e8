// What differs between two versions of a pipeline, node by node.
import type { Doc, DocNode } from '../../../api/studio';
import { has } from './document';

export interface Change {
  what: string; // params.fraction, inputs.table, module, title, cache
  before: string | null;
  after: string | null;
}

export interface NodeDiff {
  id: string;
  kind: 'added' | 'removed' | 'changed' | 'same';
  changes: Change[];
}

const text = (v: unknown) => (v === undefined ? null : typeof v === 'string' ? v : JSON.stringify(v));

/** Everything of a node that has a meaning; where it stands in the editor has none. */
function facts(node: DocNode | undefined): Record<string, unknown> {
  if (!node) {
    return {};
  }
  const flat = (name: string, of: Record<string, unknown> | undefined) => Object.entries(of ?? {}).map(([k, v]) => [`${name}.${k}`, v] as const);
  return Object.fromEntries([['module', node.module], ['title', node.title], ['cache', node.cache], ['memory', node.memory], ...flat('params', node.params), ...flat('inputs', node.inputs)]);
}

export function changesOf(before: Record<string, unknown>, after: Record<string, unknown>): Change[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.map((what) => ({ what, before: text(before[what]), after: text(after[what]) })).filter((c) => c.before !== c.after);
}

export function diff(before: Doc, after: Doc): NodeDiff[] {
  const ids = [...new Set([...Object.keys(after.nodes), ...Object.keys(before.nodes)])];
  return ids.map((id) => {
    const changes = changesOf(facts(before.nodes[id]), facts(after.nodes[id]));
    const kind = !has(before, id) ? 'added' : !has(after, id) ? 'removed' : changes.length > 0 ? 'changed' : 'same';
    return { id, kind, changes: kind === 'changed' ? changes : [] };
  });
}

/** What differs outside of the nodes. */
export function diffHead(before: Doc, after: Doc): Change[] {
  const head = (d: Doc) => ({ description: d.description, volume: d.volume, ...Object.fromEntries((d.params ?? []).map((p) => [`params.${p.name}`, { type: p.type, default: p.default }])) });
  return changesOf(head(before), head(after));
}

/** Both graphs in one: what was removed is there as well, to be drawn. */
export function union(before: Doc, after: Doc): Doc {
  const gone = Object.entries(before.nodes).filter(([id]) => !has(after, id));
  return { ...after, nodes: { ...after.nodes, ...Object.fromEntries(gone) } };
}
