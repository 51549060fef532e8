// Two runs, row by row.
import type { Doc, Run, RunNode } from '../../../api/studio';

export interface Pair {
  name: string;
  a: unknown;
  b: unknown;
}

function pairs(a: Record<string, unknown>, b: Record<string, unknown>): Pair[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => ({ name, a: a[name], b: b[name] }));
}

const metricsOf = (run: Run) => Object.fromEntries(Object.entries(run.nodes ?? {}).flatMap(([id, n]) => Object.entries(n.metrics ?? {}).map(([k, v]) => [`${id}.${k}`, v])));

/** What a run was started with, and what stood in its steps. */
const paramsOf = (run: Run, doc: Doc | undefined) => ({
  ...(run.params ?? {}),
  ...Object.fromEntries(Object.entries(doc?.nodes ?? {}).flatMap(([id, n]) => [[`${id}.module`, n.module] as const, ...Object.entries(n.params ?? {}).map(([k, v]) => [`${id}.${k}`, String(v)] as const)])),
});

type Say = (node: RunNode) => string;
const asItStands: Say = (n) => (n.cache?.why ? `${n.state} – ${n.cache.why}` : n.state);

const stepsOf = (run: Run, say: Say) => Object.fromEntries(Object.entries(run.nodes ?? {}).map(([id, n]) => [id, say(n)]));

/** `say`: how a step went, in words. */
export function compared(a: Run, b: Run, docA?: Doc, docB?: Doc, say = asItStands): { metrics: Pair[]; params: Pair[]; steps: Pair[] } {
  return { metrics: pairs(metricsOf(a), metricsOf(b)), params: pairs(paramsOf(a, docA), paramsOf(b, docB)), steps: pairs(stepsOf(a, say), stepsOf(b, say)) };
}
