// Whether two ports can be connected, said at once; columns are looked at by the server a moment later.
import type { Column, Doc, DocNode, GraphMistake, Module, Port, PortType, Value } from '../../../api/studio';
import { isNumber, selector, words } from './columns';
import { addNode, changeNode, connect, freePlace, refOf, upstream, type Edge, type Modules } from './document';

/** Why not; the console says it in the user's language. `between`: modules that would make it work. */
export type Refusal =
  | { why: 'type'; from: PortType; to: PortType; between: Module[] }
  | { why: 'cycle'; from: string; to: string }
  | { why: 'itself' }
  | { why: 'unknown' };

export const outputOf = (doc: Doc, modules: Modules, node: string, port: string): Port | undefined =>
  modules.get(doc.nodes[node]?.module ?? '')?.outputs.find((p) => p.name === port);
export const inputOf = (doc: Doc, modules: Modules, node: string, port: string): Port | undefined =>
  modules.get(doc.nodes[node]?.module ?? '')?.inputs.find((p) => p.name === port);

/** What a model is for, then modules that take the one and give the other: those that need nothing else first. */
export function bridges(modules: Modules, from: PortType, to: PortType): Module[] {
  const late = (m: Module) => (m.category === 'scoring' ? 0 : 1);
  const needs = (m: Module) => m.inputs.filter((p) => !p.optional && p.type !== from).length;
  return [...modules.values()]
    .filter((m) => m.inputs.some((p) => p.type === from) && m.outputs.some((p) => p.type === to))
    .sort((a, b) => late(a) - late(b) || needs(a) - needs(b) || a.inputs.length - b.inputs.length)
    .slice(0, 3);
}

/** null: it can be. */
export function refusalOf(doc: Doc, modules: Modules, e: Edge): Refusal | null {
  if (e.source === e.target) {
    return { why: 'itself' };
  }
  const out = outputOf(doc, modules, e.source, e.sourcePort);
  const into = inputOf(doc, modules, e.target, e.targetPort);
  if (!out || !into) {
    return { why: 'unknown' };
  }
  if (out.type !== into.type) {
    return { why: 'type', from: out.type, to: into.type, between: bridges(modules, out.type, into.type) };
  }
  if (upstream(doc, e.source).has(e.target)) {
    return { why: 'cycle', from: e.source, to: e.target };
  }
  return null;
}

/** A module put into a connection that is there or is wanted: its first fitting ports are used. */
export function putBetween(doc: Doc, modules: Modules, e: Edge, name: string, params?: Record<string, Value>): [Doc, string] | null {
  const module = modules.get(name);
  const from = outputOf(doc, modules, e.source, e.sourcePort);
  const to = inputOf(doc, modules, e.target, e.targetPort);
  const into = module?.inputs.find((p) => p.type === from?.type);
  const out = module?.outputs.find((p) => p.type === to?.type);
  if (!module || !into || !out) {
    return null;
  }
  const a = doc.nodes[e.source]?.at ?? [0, 0];
  const b = doc.nodes[e.target]?.at ?? [a[0] + 600, a[1]];
  const [added, id] = addNode(doc, name, freePlace(doc, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 40]), { params });
  const first = connect(added, { source: e.source, sourcePort: e.sourcePort, target: id, targetPort: into.name });
  return [connect(first, { source: id, sourcePort: out.name, target: e.target, targetPort: e.targetPort }), id];
}

/** Encoding puts columns with other names in a column's place: who named it takes the numbers that he named, and what comes. */
function withWhatComes(node: DocNode, { param = '', column = '' }: GraphMistake, columns: Column[] | null): DocNode {
  const named = words(String(node.params?.[param] ?? ''));
  if (!named.includes(column)) {
    return node; // a group, such as @all: it takes them already
  }
  const others = (columns ?? []).filter((c) => isNumber(c) && !named.includes(c.name));
  return { ...node, params: { ...node.params, [param]: selector(['@numeric', ...others.map((c) => `-${c.name}`)]) } };
}

/** What a fix of the server's check does; null: it cannot be done here any more. `columns`: those that come into the node. */
export function applyFix(doc: Doc, modules: Modules, mistake: GraphMistake, columns: Column[] | null = null): Doc | null {
  const { node = '', fix } = mistake;
  const now = doc.nodes[node];
  if (!fix || !now) {
    return null;
  }
  if (fix.param) {
    return changeNode(doc, node, { params: { ...now.params, [fix.param.name]: fix.param.value } });
  }
  const ref = fix.insert && now.inputs?.[fix.insert.port];
  if (!fix.insert || !ref) {
    return null;
  }
  const [source, sourcePort] = refOf(ref);
  const taker = fix.insert.module === 'one_hot' ? changeNode(doc, node, withWhatComes(now, mistake, columns)) : doc;
  return putBetween(taker, modules, { source, sourcePort, target: node, targetPort: fix.insert.port }, fix.insert.module, fix.insert.params)?.[0] ?? null;
}
