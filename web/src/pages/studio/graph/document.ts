// The document of a pipeline and what an editor does to it. Everything returns a new document; what did not change is the same
// object as before, so that what shows it need not be drawn again.
import type { Doc, DocComment, DocNode, Module, Value } from '../../../api/studio';

export const EMPTY: Doc = { pipeline: 1, nodes: {} };

/** A connection: from `source` to `target`, each a node and a port. */
export interface Edge {
  source: string;
  sourcePort: string;
  target: string;
  targetPort: string;
}

export const edgeId = (e: Edge) => `${e.source}.${e.sourcePort}>${e.target}.${e.targetPort}`;

/** Whether there is such a node; names like "constructor" are ids as well. */
export const has = (doc: Doc, id: string): boolean => Object.hasOwn(doc.nodes, id);

/** "read.table" -> its node and port. Neither holds a dot. */
export function refOf(ref: string): [string, string] {
  const dot = ref.indexOf('.');
  return dot < 0 ? [ref, ''] : [ref.slice(0, dot), ref.slice(dot + 1)];
}

export function edgesOf(doc: Doc): Edge[] {
  return Object.entries(doc.nodes).flatMap(([target, node]) =>
    Object.entries(node.inputs ?? {}).map(([targetPort, ref]) => {
      const [source, sourcePort] = refOf(ref);
      return { source, sourcePort, target, targetPort };
    }),
  );
}

/** A value that says nothing is left out: documents stay short. */
function tidy<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== undefined && !(typeof v === 'object' && v !== null && !Array.isArray(v) && Object.keys(v).length === 0)),
  ) as T;
}

const withNodes = (doc: Doc, nodes: Record<string, DocNode>): Doc => ({ ...doc, nodes });

export function changeNode(doc: Doc, id: string, change: Partial<DocNode>): Doc {
  const node = doc.nodes[id];
  return node ? withNodes(doc, { ...doc.nodes, [id]: tidy({ ...node, ...change }) }) : doc;
}

/** undefined: the module's default again. */
export function setParam(doc: Doc, id: string, name: string, value: Value | undefined): Doc {
  const node = doc.nodes[id];
  if (!node) {
    return doc;
  }
  const params = { ...node.params };
  if (value === undefined) {
    delete params[name];
  } else {
    params[name] = value;
  }
  return changeNode(doc, id, { params });
}

/** An id that is free: the name itself, else with a number behind it. */
export function freeId(doc: Doc, wanted: string, taken: ReadonlySet<string> = new Set()): string {
  const base = wanted.toLowerCase().replace(/[^a-z0-9_-]/g, '_').replace(/^[^a-z]+/, '').slice(0, 56) || 'step';
  const isFree = (id: string) => !has(doc, id) && !taken.has(id);
  for (let n = 1; ; n++) {
    const id = n === 1 ? base : `${base}_${n}`;
    if (isFree(id)) {
      return id;
    }
  }
}

export const isId = (text: string) => /^[a-z][a-z0-9_-]{0,62}$/.test(text);

/** The nearest place below where no other node is. */
export function freePlace(doc: Doc, [x, y]: [number, number]): [number, number] {
  const there = Object.values(doc.nodes).flatMap((n) => (n.at ? [n.at] : []));
  let now = y;
  for (let hit = true; hit; ) {
    const at = there.find((p) => Math.abs(p[0] - x) < 180 && Math.abs(p[1] - now) < 110);
    hit = at !== undefined;
    now = at ? at[1] + 120 : now;
  }
  return [x, now];
}

export function addNode(doc: Doc, module: string, at: [number, number], more: Partial<DocNode> = {}): [Doc, string] {
  const id = freeId(doc, module);
  return [withNodes(doc, { ...doc.nodes, [id]: tidy({ module, at: round(at), ...more }) }), id];
}

const round = ([x, y]: [number, number]): [number, number] => [Math.round(x), Math.round(y)];

export function moveNodes(doc: Doc, places: Record<string, [number, number]>): Doc {
  const nodes = { ...doc.nodes };
  for (const [id, at] of Object.entries(places)) {
    const node = nodes[id];
    if (node) {
      nodes[id] = { ...node, at: round(at) };
    }
  }
  return withNodes(doc, nodes);
}

/** Another id: what refers to it follows. The order of the nodes stays. */
export function renameNode(doc: Doc, from: string, to: string): Doc {
  if (from === to || !has(doc, from) || has(doc, to) || !isId(to)) {
    return doc;
  }
  const rename = (ref: string) => (refOf(ref)[0] === from ? `${to}.${refOf(ref)[1]}` : ref);
  return withNodes(
    doc,
    Object.fromEntries(
      Object.entries(doc.nodes).map(([id, node]) => [
        id === from ? to : id,
        node.inputs && Object.values(node.inputs).some((r) => refOf(r)[0] === from)
          ? { ...node, inputs: Object.fromEntries(Object.entries(node.inputs).map(([port, ref]) => [port, rename(ref)])) }
          : node,
      ]),
    ),
  );
}

/** Without these nodes, and without what they fed. */
export function removeNodes(doc: Doc, ids: ReadonlySet<string>): Doc {
  const nodes: Record<string, DocNode> = {};
  for (const [id, node] of Object.entries(doc.nodes)) {
    if (ids.has(id)) {
      continue;
    }
    const inputs = Object.entries(node.inputs ?? {});
    const left = inputs.filter(([, ref]) => !ids.has(refOf(ref)[0]));
    nodes[id] = left.length === inputs.length ? node : tidy({ ...node, inputs: Object.fromEntries(left) });
  }
  return withNodes(doc, nodes);
}

/** An input has one source: a second one takes the place of the first. */
export function connect(doc: Doc, e: Edge): Doc {
  return changeNode(doc, e.target, { inputs: { ...doc.nodes[e.target]?.inputs, [e.targetPort]: `${e.source}.${e.sourcePort}` } });
}

export function disconnect(doc: Doc, target: string, port: string): Doc {
  const inputs = { ...doc.nodes[target]?.inputs };
  delete inputs[port];
  return changeNode(doc, target, { inputs });
}

/** What is copied: nodes with the connections among them, and those from outside, which are kept where the source is there. */
export function copyOf(doc: Doc, ids: ReadonlySet<string>): Record<string, DocNode> {
  return Object.fromEntries(Object.entries(doc.nodes).filter(([id]) => ids.has(id)));
}

export function paste(doc: Doc, copied: Record<string, DocNode>, shift: [number, number]): [Doc, string[]] {
  const names: Record<string, string> = {};
  const taken = new Set<string>();
  for (const id of Object.keys(copied)) {
    names[id] = freeId(doc, id.replace(/_\d+$/, ''), taken);
    taken.add(names[id]);
  }
  const nodes = { ...doc.nodes };
  for (const [id, node] of Object.entries(copied)) {
    const inputs = Object.entries(node.inputs ?? {}).flatMap(([port, ref]) => {
      const [source, sourcePort] = refOf(ref);
      const now = names[source] ?? (has(doc, source) ? source : null);
      return now === null ? [] : [[port, `${now}.${sourcePort}`]];
    });
    const at: [number, number] | undefined = node.at && [node.at[0] + shift[0], node.at[1] + shift[1]];
    nodes[names[id] as string] = tidy({ ...node, at, inputs: Object.fromEntries(inputs) as Record<string, string> });
  }
  return [withNodes(doc, nodes), Object.values(names)];
}

export const changeComment = (doc: Doc, index: number, change: Partial<DocComment>): Doc => ({
  ...doc,
  comments: (doc.comments ?? []).map((c, i) => (i === index ? { ...c, ...change } : c)),
});

export function removeComments(doc: Doc, indexes: ReadonlySet<number>): Doc {
  const comments = (doc.comments ?? []).filter((_, i) => !indexes.has(i));
  const { comments: _all, ...rest } = doc;
  return comments.length > 0 ? { ...rest, comments } : rest;
}

/** All that a node needs, with itself. */
export function upstream(doc: Doc, id: string): Set<string> {
  const found = new Set<string>();
  const todo = [id];
  for (let now = todo.pop(); now !== undefined; now = todo.pop()) {
    if (!found.has(now)) {
      found.add(now);
      todo.push(...Object.values(doc.nodes[now]?.inputs ?? {}).map((r) => refOf(r)[0]));
    }
  }
  return found;
}

/** Modules by their name. */
export type Modules = ReadonlyMap<string, Module>;

export const modulesOf = (list: readonly Module[]): Modules => new Map(list.map((m) => [m.name, m]));
