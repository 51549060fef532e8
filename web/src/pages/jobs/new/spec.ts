// A job's spec as YAML text and as the fields of the form. The text is what counts: the form changes only those of
// its keys that changed in the form, so comments and keys that the form does not know stay.
import { Document, isMap, isScalar, isSeq, parseDocument, YAMLMap, YAMLSeq, type Node } from 'yaml';
import type { JobSpec } from '../../../api/types';

export interface Pair {
  name: string;
  value: string;
}

export interface VolumeRow {
  name: string;
  path: string;
  mode: 'ro' | 'rw';
}

export interface FormSpec {
  name: string;
  image: string;
  command: string[];
  args: string[];
  workdir: string;
  env: Pair[];
  secrets: Pair[];
  cpu: string;
  memory: string;
  gpu: string;
  pids: string;
  volumes: VolumeRow[];
  network: string;
  timeout: string;
  grace: string;
  retries: string;
}

export const EMPTY: FormSpec = {
  name: '', image: '', command: [], args: [], workdir: '', env: [], secrets: [], cpu: '', memory: '', gpu: '', pids: '',
  volumes: [], network: '', timeout: '', grace: '', retries: '',
}; // prettier-ignore

/** The order in which people write them. */
export const KEYS = ['name', 'project', 'image', 'command', 'args', 'workdir', 'env', 'secrets', 'resources', 'volumes', 'network', 'timeout', 'grace', 'retries'];

export interface TextMistake {
  line: number;
  column: number;
  message: string;
  from: number;
  to: number;
}

/** Where the text is no YAML, or no map of keys. */
export function syntaxOf(text: string): TextMistake[] {
  const doc = parseDocument(text);
  const found = doc.errors.map((e) => ({
    line: e.linePos?.[0].line ?? 1,
    column: e.linePos?.[0].col ?? 1,
    message: (e.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''),
    from: e.pos[0],
    to: e.pos[1],
  }));
  if (found.length === 0 && doc.contents !== null && !isMap(doc.contents)) {
    return [{ line: 1, column: 1, message: 'A job is a map of keys, such as image: project/repository:tag', from: 0, to: text.length }];
  }
  return found;
}

/* --- reading --- */

/** A scalar as it is written: 007 stays 007. */
function scalar(node: unknown): string {
  if (typeof node === 'string') {
    return node; // a key that we set
  }
  if (!isScalar(node) || node.value === null) {
    return '';
  }
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

const list = (node: unknown): string[] => (isSeq(node) ? node.items.map(scalar) : []);
const pairs = (node: unknown): Pair[] =>
  isMap(node) ? node.items.map((p) => ({ name: scalar(p.key), value: scalar(p.value) })) : [];

function volume(node: unknown): VolumeRow {
  const of = (key: string) => (isMap(node) ? scalar(node.get(key, true)) : '');
  return { name: of('name'), path: of('path'), mode: of('mode') === 'rw' ? 'rw' : 'ro' };
}

/** null: the text is no YAML just now. */
export function readForm(text: string): FormSpec | null {
  if (syntaxOf(text).length > 0) {
    return null;
  }
  const doc = parseDocument(text);
  const at = (...path: string[]): unknown => doc.getIn(path, true);
  const volumes = at('volumes');
  return {
    name: scalar(at('name')),
    image: scalar(at('image')),
    command: list(at('command')),
    args: list(at('args')),
    workdir: scalar(at('workdir')),
    env: pairs(at('env')),
    secrets: pairs(at('secrets')),
    cpu: scalar(at('resources', 'cpu')),
    memory: scalar(at('resources', 'memory')),
    gpu: scalar(at('resources', 'gpu')),
    pids: scalar(at('resources', 'pids')),
    volumes: isSeq(volumes) ? volumes.items.map(volume) : [],
    network: scalar(at('network')),
    timeout: scalar(at('timeout')),
    grace: scalar(at('grace')),
    retries: scalar(at('retries')),
  };
}

/* --- writing --- */

const plain = (v: string): string | number => (/^(0|[1-9]\d{0,14})(\.\d+)?$/.test(v) ? Number(v) : v);

function flow<T extends Node>(node: T): T {
  if (node instanceof YAMLMap || node instanceof YAMLSeq) {
    node.flow = true;
  }
  return node;
}

/** A new key takes the place people expect it at. */
function inOrder(doc: Document, key: string) {
  const map = doc.contents as YAMLMap;
  const at = map.items.findIndex((p) => scalar(p.key) === key);
  const before = map.items.findIndex((p) => KEYS.indexOf(scalar(p.key)) > KEYS.indexOf(key));
  if (before >= 0 && before < at) {
    map.items.splice(before, 0, ...map.items.splice(at, 1));
  }
}

function set(doc: Document, path: string[], value: unknown) {
  const isNew = !doc.hasIn([path[0]]);
  if (value === '' || value === undefined) {
    doc.deleteIn(path);
    const parent = path.length > 1 ? doc.getIn(path.slice(0, -1)) : null;
    if (isMap(parent) && parent.items.length === 0) {
      doc.deleteIn(path.slice(0, -1));
    }
    return;
  }
  if (path.length > 1 && !isMap(doc.getIn(path.slice(0, -1)))) {
    doc.setIn(path.slice(0, -1), flow(doc.createNode({}) as Node));
  }
  doc.setIn(path, value);
  if (isNew) {
    inOrder(doc, path[0] as string);
  }
}

function setList(doc: Document, key: string, words: string[]) {
  if (words.length === 0) {
    return doc.delete(key);
  }
  const node = doc.createNode(words) as YAMLSeq;
  node.flow = words.join(', ').length < 90 && words.every((w) => !w.includes('\n'));
  const isNew = !doc.has(key);
  doc.set(key, node);
  return isNew && inOrder(doc, key);
}

function setPairs(doc: Document, key: string, rows: Pair[]) {
  const named = rows.filter((r) => r.name !== '');
  for (const old of pairs(doc.get(key, true))) {
    if (!named.some((r) => r.name === old.name)) {
      doc.deleteIn([key, old.name]);
    }
  }
  for (const r of named) {
    set(doc, [key, r.name], doc.createNode(r.value));
  }
  if (named.length === 0) {
    doc.delete(key);
  }
}

function setVolumes(doc: Document, rows: VolumeRow[]) {
  if (rows.length === 0) {
    return doc.delete('volumes');
  }
  const nodes = rows.map((r) => flow(doc.createNode(r.mode === 'rw' ? r : { name: r.name, path: r.path }) as Node));
  const isNew = !doc.has('volumes');
  const there = doc.get('volumes');
  if (isSeq(there)) {
    there.items = nodes;
    return true;
  }
  doc.set('volumes', doc.createNode(nodes));
  return isNew && inOrder(doc, 'volumes');
}

export const textOf = (doc: Document): string => {
  const text = doc.toString({ lineWidth: 0, flowCollectionPadding: false });
  return text.trim() === '{}' || text.trim() === 'null' ? '' : text;
};

const PATHS = {
  name: ['name'], image: ['image'], workdir: ['workdir'], cpu: ['resources', 'cpu'], memory: ['resources', 'memory'],
  gpu: ['resources', 'gpu'], pids: ['resources', 'pids'], network: ['network'], timeout: ['timeout'], grace: ['grace'], retries: ['retries'],
} as const; // prettier-ignore
const NUMBERS: string[] = ['cpu', 'gpu', 'pids', 'retries'];

/** The text with what changed in the form from `before` to `now`. */
export function writeForm(text: string, before: FormSpec, now: FormSpec): string {
  if (JSON.stringify(before) === JSON.stringify(now)) {
    return text;
  }
  const doc = parseDocument(text) as Document;
  if (!isMap(doc.contents)) {
    doc.contents = doc.createNode({}) as never;
  }
  const changed = (k: keyof FormSpec) => JSON.stringify(before[k]) !== JSON.stringify(now[k]);
  for (const [k, path] of Object.entries(PATHS) as [keyof typeof PATHS, readonly string[]][]) {
    if (changed(k)) {
      set(doc, [...path], NUMBERS.includes(k) ? plain(now[k]) : now[k]);
    }
  }
  for (const k of ['command', 'args'] as const) {
    if (changed(k)) {
      setList(doc, k, now[k]);
    }
  }
  for (const k of ['env', 'secrets'] as const) {
    if (changed(k)) {
      setPairs(doc, k, now[k]);
    }
  }
  if (changed('volumes')) {
    setVolumes(doc, now.volumes);
  }
  return textOf(doc);
}

/* --- of a job that was submitted --- */

const MIB = 1024 * 1024;

export function memoryText(bytes: number): string {
  if (bytes % (1024 * MIB) === 0) {
    return `${bytes / 1024 / MIB}Gi`;
  }
  return bytes % MIB === 0 ? `${bytes / MIB}Mi` : String(bytes);
}

const DEFAULTS: Record<string, unknown> = { network: 'none', grace: '10s', retries: 0, timeout: '' };

/** The spec as one would write it, without what is the default anyway. */
export function yamlOf(spec: JobSpec): string {
  const { cpu, memory, gpu, pids } = spec.resources ?? {};
  const resources = {
    cpu: typeof cpu === 'string' ? plain(cpu) : cpu,
    memory: typeof memory === 'number' ? memoryText(memory) : memory,
    ...(gpu ? { gpu } : {}),
    ...(pids && pids !== 1024 ? { pids } : {}),
  };
  const all: Record<string, unknown> = { ...spec, resources: spec.resources && resources };
  delete all.project; // it stands in the address
  const doc = new Document({});
  for (const key of KEYS) {
    const value = all[key];
    const isEmpty = value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!isEmpty && value !== DEFAULTS[key]) {
      if (key === 'command' || key === 'args') {
        setList(doc, key, value as string[]);
      } else if (key === 'volumes') {
        setVolumes(doc, (value as VolumeRow[]).map(({ name, path, mode }) => ({ name, path, mode })));
      } else {
        doc.set(key, flow(doc.createNode(value) as Node));
      }
    }
  }
  return textOf(doc);
}
