// A pipeline as text. Reading takes what has the shape of one; what it means the server checks.
import { LineCounter, isMap, parseDocument, stringify } from 'yaml';
import type { Doc, DocNode } from '../../../api/studio';
import { isId } from './document';

export const MAX_BYTES = 1024 * 1024;
const MAX_NODES = 500;

export type Wrong = 'not_yaml' | 'not_a_map' | 'no_nodes' | 'bad_node' | 'too_large' | 'too_many';
export type ReadResult = { doc: Doc } | { wrong: Wrong; where: string };

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const isPair = (v: unknown): v is [number, number] => Array.isArray(v) && v.length === 2 && v.every((n) => Number.isFinite(n));
const isScalar = (v: unknown) => ['string', 'number', 'boolean'].includes(typeof v);

/** Whether a node can be shown at all. */
function isNode(v: unknown): v is DocNode {
  return (
    isObject(v) &&
    typeof v.module === 'string' &&
    (v.title === undefined || typeof v.title === 'string') &&
    (v.at === undefined || isPair(v.at)) &&
    (v.cache === undefined || typeof v.cache === 'boolean') &&
    (v.memory === undefined || isScalar(v.memory)) &&
    (v.params === undefined || (isObject(v.params) && Object.values(v.params).every(isScalar))) &&
    (v.inputs === undefined || (isObject(v.inputs) && Object.values(v.inputs).every((r) => typeof r === 'string')))
  );
}

const isComment = (c: unknown) => isObject(c) && typeof c.text === 'string' && isPair(c.at) && (c.size === undefined || isPair(c.size));

/** The first place that is wrong, or null. */
function wrongIn(v: Record<string, unknown>): { wrong: Wrong; where: string } | null {
  if (v.nodes === null) {
    v.nodes = {};
  }
  if (!isObject(v.nodes)) {
    return { wrong: 'no_nodes', where: 'nodes' };
  }
  if (Object.keys(v.nodes).length > MAX_NODES) {
    return { wrong: 'too_many', where: 'nodes' };
  }
  const bad = Object.entries(v.nodes).find(([id, n]) => !isId(id) || !isNode(n));
  if (bad) {
    return { wrong: 'bad_node', where: `nodes.${bad[0]}` };
  }
  const rest = (['params', 'comments'] as const).find((k) => v[k] !== undefined && !Array.isArray(v[k]));
  if (rest) {
    return { wrong: 'bad_node', where: rest };
  }
  const param = ((v.params ?? []) as unknown[]).findIndex((p) => !isObject(p) || typeof p.name !== 'string');
  const comment = ((v.comments ?? []) as unknown[]).findIndex((c) => !isComment(c));
  return param >= 0 ? { wrong: 'bad_node', where: `params[${param}]` } : comment >= 0 ? { wrong: 'bad_node', where: `comments[${comment}]` } : null;
}

export function readYaml(text: string): ReadResult {
  if (new TextEncoder().encode(text).length > MAX_BYTES) {
    return { wrong: 'too_large', where: '' };
  }
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const error = parsed.errors[0];
  if (error) {
    return { wrong: 'not_yaml', where: `${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}` };
  }
  if (!isMap(parsed.contents)) {
    return { wrong: 'not_a_map', where: '' };
  }
  let value: Record<string, unknown>;
  try {
    value = parsed.toJS({ maxAliasCount: 100 }) as Record<string, unknown>;
  } catch (e) {
    return { wrong: 'not_yaml', where: (e as Error).message };
  }
  return wrongIn(value) ?? { doc: { ...value, pipeline: Number(value.pipeline ?? 1) } as Doc };
}

export const writeYaml = (doc: Doc): string => stringify(doc, { lineWidth: 0, flowCollectionPadding: false });
