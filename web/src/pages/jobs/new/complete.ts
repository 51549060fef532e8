// What can stand where the cursor is: keys of the map one is in, values of the key one is at.
import type { CompletionResult } from '@codemirror/autocomplete';
import type { Key, Text } from '../../../i18n';
import { KEYS } from './spec';

export interface Known {
  images: string[];
  volumes: string[];
  secrets: string[];
}

const OF_RESOURCES = ['cpu', 'memory', 'gpu', 'pids'];
const OF_VOLUME = ['name', 'path', 'mode'];

/** The keys above the line at `at`, by indentation: "resources" for a line inside of resources. */
export function parentOf(lines: string[], at: number): string {
  const indent = (s: string) => /^[\s-]*/.exec(s)?.[0].length ?? 0;
  let depth = indent(lines[at] ?? '');
  for (let i = at - 1; i >= 0; i--) {
    const line = lines[i] as string;
    const m = /^(\s*)([\w-]+):\s*(#.*)?$/.exec(line);
    if (line.trim() !== '' && !line.trim().startsWith('#') && indent(line) < depth) {
      if (m) {
        return m[2] as string;
      }
      depth = indent(line);
    }
  }
  return '';
}

function valuesOf(parent: string, key: string, known: Known): string[] {
  if (parent === 'secrets') {
    return known.secrets;
  }
  if (parent === 'volumes') {
    return key === 'name' ? known.volumes : key === 'mode' ? ['ro', 'rw'] : [];
  }
  const values: Record<string, string[]> = {
    image: known.images, network: ['none', 'bridge', 'host'], memory: ['512Mi', '1Gi', '4Gi'], cpu: ['500m', '1', '2'], timeout: ['10m', '1h', '1d'], grace: ['10s', '1m'],
  }; // prettier-ignore
  return values[key] ?? [];
}

export function completionsAt(text: string, pos: number, explicit: boolean, known: Known, t: Text): CompletionResult | null {
  const before = text.slice(0, pos);
  const lines = before.split('\n');
  const line = lines[lines.length - 1] as string;
  // In a flow map, {name: digits, mode: r|}: the last part counts, its parent is the key before the brace.
  const brace = line.lastIndexOf('{') > line.lastIndexOf('}') ? line.lastIndexOf('{') : -1;
  const part = brace >= 0 ? line.slice(Math.max(brace, line.lastIndexOf(',')) + 1) : line;
  const parent = brace >= 0 ? (/([\w-]+):\s*$/.exec(line.slice(0, brace))?.[1] ?? parentOf(lines, lines.length - 1)) : parentOf(lines, lines.length - 1);
  const value = /^[\s-]*([\w-]+):\s+(\S*)$/.exec(part);
  if (value) {
    const options = valuesOf(parent, value[1] as string, known);
    return options.length === 0 ? null : { from: pos - (value[2] as string).length, options: options.map((label) => ({ label })), validFor: /^\S*$/ };
  }
  const key = /^[\s-]*([\w-]*)$/.exec(part);
  if (!key || (!explicit && key[1] === '')) {
    return null;
  }
  const keys = parent === '' ? KEYS : parent === 'resources' ? OF_RESOURCES : parent === 'volumes' ? OF_VOLUME : [];
  return keys.length === 0
    ? null
    : {
        from: pos - (key[1] as string).length,
        options: keys.map((k) => ({ label: k, apply: `${k}: `, detail: t(`jobs.key_${k}` as Key), type: 'property' })),
        validFor: /^[\w-]*$/,
      };
}
