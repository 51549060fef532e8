// Places for the nodes of a graph: in layers from left to right, each as far left as its inputs let it be; within a layer in the
// order that crosses fewest connections (a few sweeps to the middle of the neighbours).
import type { Doc, DocNode } from '../../../api/studio';
import { has, refOf } from './document';

export const NODE_WIDTH = 180;
const GAP_X = 60;
const GAP_Y = 30;
const SWEEPS = 6;

/** How high a node is drawn; CSS has the same figures. */
export const nodeHeight = (ports: number) => 62 + 24 * Math.max(1, ports);

const sourcesOf = (node: DocNode | undefined) => Object.values(node?.inputs ?? {}).map((r) => refOf(r)[0]);

/** The layer of each node. A connection that closes a circle counts for nothing. */
export function layersOf(doc: Doc): Map<string, number> {
  const layer = new Map<string, number>();
  const open = new Set<string>();
  const visit = (start: string) => {
    const stack = [start];
    while (stack.length > 0) {
      const id = stack.at(-1) as string;
      if (layer.has(id)) {
        stack.pop();
        continue;
      }
      open.add(id);
      const wait = sourcesOf(doc.nodes[id]).filter((s) => has(doc, s) && !layer.has(s) && !open.has(s));
      if (wait.length > 0) {
        stack.push(...new Set(wait));
        continue;
      }
      layer.set(id, Math.max(-1, ...sourcesOf(doc.nodes[id]).map((s) => layer.get(s) ?? -1)) + 1);
      open.delete(id);
      stack.pop();
    }
  };
  Object.keys(doc.nodes).forEach(visit);
  return layer;
}

/** The mean place of its neighbours; where it is when it has none. */
function middle(id: string, neighbours: Map<string, string[]>, place: Map<string, number>): number {
  const all = (neighbours.get(id) ?? []).map((n) => place.get(n) ?? 0);
  return all.length > 0 ? all.reduce((a, b) => a + b, 0) / all.length : (place.get(id) ?? 0);
}

function orderLayers(doc: Doc, layers: string[][]): void {
  const before = new Map(Object.entries(doc.nodes).map(([id, node]) => [id, sourcesOf(node)]));
  const behind = new Map<string, string[]>();
  for (const [id, sources] of before) {
    sources.forEach((s) => behind.set(s, [...(behind.get(s) ?? []), id]));
  }
  const place = new Map<string, number>();
  const number = () => layers.forEach((l) => l.forEach((id, i) => place.set(id, i)));
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const layer of forward ? layers : [...layers].reverse()) {
      const at = new Map(layer.map((id) => [id, middle(id, forward ? before : behind, place)]));
      layer.sort((a, b) => (at.get(a) as number) - (at.get(b) as number));
      layer.forEach((id, i) => place.set(id, i));
    }
  }
}

/** The upper left corner of every node. `heightOf`: what it is drawn with. */
export function layout(doc: Doc, heightOf: (node: DocNode) => number): Record<string, [number, number]> {
  const layers: string[][] = [];
  for (const [id, n] of layersOf(doc)) {
    (layers[n] ??= []).push(id);
  }
  orderLayers(doc, layers);
  const total = (l: string[]) => l.reduce((h, id) => h + heightOf(doc.nodes[id] as DocNode) + GAP_Y, -GAP_Y);
  const highest = Math.max(0, ...layers.map(total));
  const places: Record<string, [number, number]> = {};
  layers.forEach((l, n) => {
    let y = Math.round((highest - total(l)) / 2);
    for (const id of l) {
      places[id] = [n * (NODE_WIDTH + GAP_X), y];
      y += heightOf(doc.nodes[id] as DocNode) + GAP_Y;
    }
  });
  return places;
}

/** Only those that have none yet get a place, below or beside what is there. */
export function placed(doc: Doc, heightOf: (node: DocNode) => number): Doc {
  const without = Object.entries(doc.nodes).filter(([, n]) => !n.at);
  if (without.length === 0) {
    return doc;
  }
  const all = layout(doc, heightOf);
  const there = Object.values(doc.nodes).flatMap((n) => (n.at ? [n.at[1] + heightOf(n)] : []));
  const below = there.length > 0 ? Math.max(...there) + GAP_Y : 0;
  const nodes = { ...doc.nodes };
  for (const [id, node] of without) {
    const [x, y] = all[id] as [number, number];
    nodes[id] = { ...node, at: [x, y + below] };
  }
  return { ...doc, nodes };
}
