// What the server says to a step that failed often ends with what to write into it. Where that is one value, it is one press away.
import type { DocNode, Module } from '../../../api/studio';

export interface Mending {
  name: string;
  value: string;
  node: DocNode; // as it is then
}

const MEMORY = /\bwrite memory: (\d+(?:\.\d+)?[KMGT]i)\b/; // src/studio/pipeline/step_memory.c
const CHOICE = /\b([a-z_]+)=([a-z_]+)\b/g;

const withParam = (node: DocNode, name: string, value: string): Mending => ({ name, value, node: { ...node, params: { ...node.params, [name]: value } } });

/** Those that the step does not have already. What only looks like a parameter is none: the module must have it, with that choice. */
export function mendingsOf(error: string, node: DocNode, module: Module | undefined): Mending[] {
  const param = (name: string) => module?.params.find((p) => p.name === name);
  const memory = MEMORY.exec(error)?.[1];
  const choices = [...error.matchAll(CHOICE)].flatMap(([, name = '', value = '']) => (param(name)?.choices?.includes(value) && node.params?.[name] !== value ? [withParam(node, name, value)] : []));
  if (memory === undefined) {
    return choices;
  }
  const isParam = param('memory') !== undefined;
  const now = isParam ? node.params?.memory : node.memory;
  return now === memory ? choices : [isParam ? withParam(node, 'memory', memory) : { name: 'memory', value: memory, node: { ...node, memory } }, ...choices];
}
