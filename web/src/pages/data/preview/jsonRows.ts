// JSON as rows of a tree: what is open is walked without recursion, so that depth costs nothing.

/** A number too long for JavaScript, as it stands in the text. */
export class Exact {
  constructor(readonly text: string) {}
}

export type Json = null | boolean | number | string | Exact | Json[] | { [key: string]: Json };

/** Throws SyntaxError, or RangeError for what is nested too deep. */
export function parseJson(text: string): Json {
  if (!/\d{16}/.test(text)) {
    return JSON.parse(text) as Json;
  }
  const keep = (_: string, value: Json, context?: { source?: string }) =>
    typeof value === 'number' && context?.source && String(value) !== context.source && /\d{16}/.test(context.source) ? new Exact(context.source) : value;
  return JSON.parse(text, keep as never) as Json;
}

export interface JsonRow {
  path: string; // "/a/0": unique, also the key
  depth: number;
  name: string | null; // null: the whole
  value: Json;
  size: number | null; // of an array or object
  isOpen: boolean;
  more: number; // elements of this array or object that are not shown; only of the row that says so
}

const MAX_CHILDREN = 1000; // of one array or object; text shows all

export const isBranch = (v: Json): v is Json[] | { [key: string]: Json } => typeof v === 'object' && v !== null && !(v instanceof Exact);

function childrenOf(v: Json[] | { [key: string]: Json }): [string, Json][] {
  return Array.isArray(v) ? v.slice(0, MAX_CHILDREN).map((c, i) => [String(i), c]) : Object.entries(v).slice(0, MAX_CHILDREN);
}

/** `isOpen` decides of each branch. */
export function jsonRows(root: Json, isOpen: (path: string, depth: number, size: number) => boolean): JsonRow[] {
  const rows: JsonRow[] = [];
  const todo: JsonRow[] = [];
  const put = (path: string, depth: number, name: string | null, value: Json) => {
    const size = isBranch(value) ? (Array.isArray(value) ? value.length : Object.keys(value).length) : null;
    todo.push({ path, depth, name, value, size, isOpen: size !== null && size > 0 && isOpen(path, depth, size), more: 0 });
  };
  put('', 0, null, root);
  for (let row = todo.pop(); row; row = todo.pop()) {
    rows.push(row);
    if (!row.isOpen || !isBranch(row.value)) {
      continue;
    }
    const children = childrenOf(row.value);
    if ((row.size ?? 0) > children.length) {
      todo.push({ path: `${row.path}/…`, depth: row.depth + 1, name: null, value: null, size: null, isOpen: false, more: (row.size ?? 0) - children.length });
    }
    for (const [name, value] of children.reverse()) {
      put(`${row.path}/${name.replace(/~/g, '~0').replace(/\//g, '~1')}`, row.depth + 1, name, value);
    }
  }
  return rows;
}
