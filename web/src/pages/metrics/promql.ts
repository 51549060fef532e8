// What can stand where the cursor is in a query, and how series are written.
import type { Labels } from '../../api/metrics';

export const FUNCTIONS = (
  'abs absent absent_over_time acos acosh asin asinh atan atanh avg avg_over_time bottomk ceil changes clamp clamp_max clamp_min cos cosh count ' +
  'count_over_time count_values day_of_month day_of_week day_of_year days_in_month deg delta deriv exp floor group histogram_fraction histogram_quantile ' +
  'hour idelta increase irate label_join label_replace last_over_time ln log10 log2 max max_over_time min min_over_time minute month pi predict_linear ' +
  'present_over_time quantile quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_desc sqrt stddev stddev_over_time stdvar ' +
  'stdvar_over_time sum sum_over_time tan tanh time timestamp topk vector year'
).split(' ');

/** Where the cursor is: a name (of metrics, functions), a label of a selector, or the value of one. */
export type Place = { kind: 'name'; from: number } | { kind: 'label'; from: number; metric: string } | { kind: 'value'; from: number; metric: string; label: string };

/** The text outside of strings: what stands in them is blanked. */
const blank = (text: string) => text.replace(/"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/g, (s) => s[0] + ' '.repeat(s.length - 2) + s[0]);

export function placeAt(text: string, pos: number): Place | null {
  const before = blank(text.slice(0, pos));
  const open = before.lastIndexOf('{');
  if (open > before.lastIndexOf('}')) {
    const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(before.slice(0, open))?.[1] ?? '';
    const value = /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*["']([^"']*)$/.exec(before.slice(open));
    if (value) {
      return { kind: 'value', from: pos - value[3]!.length, metric, label: value[1]! };
    }
    const label = /[{,]\s*(\w*)$/.exec(before.slice(open));
    return label ? { kind: 'label', from: pos - label[1]!.length, metric } : null;
  }
  if (/["'][^"']*$/.test(before.replace(/(["']) *\1/g, ''))) {
    return null; // inside of a string
  }
  const by = /\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)$/.exec(before);
  if (by) {
    const label = /(\w*)$/.exec(before)![1]!;
    return { kind: 'label', from: pos - label.length, metric: '' };
  }
  const name = /[a-zA-Z_:][\w:]*$/.exec(before);
  return name ? { kind: 'name', from: name.index } : { kind: 'name', from: pos };
}

const isPlainMetric = (name: string) => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);

/** How names and values stand in a query: quoted where they have dots, spaces or other letters. */
export const metricText = (name: string) => (isPlainMetric(name) ? name : `{${JSON.stringify(name)}}`);
export const labelText = (name: string) => (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name));
/** Within quotes of that kind. */
export const valueText = (value: string, quote: string) =>
  quote === "'" ? JSON.stringify(value).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'") : JSON.stringify(value).slice(1, -1);

/** name{a="b"}, {"other name", a="b"}: a selector that finds it */
export function seriesName(metric: Labels): string {
  const name = metric.__name__ ?? '';
  const plain = isPlainMetric(name);
  const inside = Object.entries(metric)
    .filter(([k]) => k !== '__name__')
    .map(([k, v]) => `${labelText(k)}=${JSON.stringify(v)}`);
  if (name && !plain) {
    inside.unshift(JSON.stringify(name));
  }
  return inside.length > 0 || !name ? `${plain ? name : ''}{${inside.join(', ')}}` : name;
}

/** Where the server says that a query is wrong: 'invalid parameter "query": 1:5: parse error: ...'. */
export function mistakeIn(message: string): { line: number; column: number; text: string } | null {
  const found = /^invalid parameter "query": (\d+):(\d+): (?:parse error: )?(.*)$/s.exec(message);
  return found ? { line: Number(found[1]), column: Number(found[2]), text: found[3]! } : null;
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** "90s", "6h" in seconds; NaN for what is none. */
export function secondsOf(text: string): number {
  const found = /^(\d+)([smhdw])$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2]!]! : NaN;
}

/** Some 250 points, on steps that people like. */
export function stepFor(seconds: number): number {
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200].find((s) => seconds / s <= 250) ?? 86400;
}

/** Numbers as people read them. */
export function shown(v: number): string {
  if (!Number.isFinite(v)) {
    return String(v);
  }
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) {
    return v.toExponential(3);
  }
  const [unit, by] = size >= 1e12 ? ['T', 1e12] : size >= 1e9 ? ['G', 1e9] : size >= 1e6 ? ['M', 1e6] : size >= 1e4 ? ['k', 1e3] : ['', 1];
  return `${Number((v / (by as number)).toPrecision(4))}${unit}`;
}

export type Unit = '' | 'B' | 'B/s' | 's' | '%';

/** What the numbers of a query are, as the names in it say; '' where they do not agree or the query makes something else of them. */
export function unitOf(query: string): Unit {
  const text = blank(query);
  const rate = /\b(rate|irate|deriv)\s*\(/.test(text);
  const names = text.replace(/\{[^}]*\}/g, '').match(/[a-zA-Z_:][\w:]*_(bytes|seconds|ratio)(_total)?\b/g) ?? [];
  const kinds = new Set(names.map((n) => /(bytes|seconds|ratio)(_total)?$/.exec(n)![1]));
  if (/^\s*100\s*\*/.test(text)) {
    return '%';
  }
  if (kinds.size !== 1 || /[*/]|\b(count|changes|resets|time|timestamp)\b/.test(text)) {
    return '';
  }
  return kinds.has('bytes') ? (rate ? 'B/s' : 'B') : kinds.has('seconds') && !rate ? 's' : '';
}

/** With its unit: bytes by 1024, seconds down to µs. */
export function shownIn(v: number, unit: Unit): string {
  if (unit === '' || !Number.isFinite(v)) {
    return shown(v);
  }
  if (unit === '%') {
    return `${Number(v.toPrecision(4))} %`;
  }
  const size = Math.abs(v);
  if (unit === 's') {
    const [name, by] = size === 0 || size >= 1 ? ['s', 1] : size >= 1e-3 ? ['ms', 1e-3] : ['µs', 1e-6];
    return size >= 1e4 ? `${shown(v)} s` : `${Number((v / (by as number)).toPrecision(4))} ${name}`;
  }
  const power = size < 1024 ? 0 : Math.min(5, Math.floor(Math.log2(size) / 10));
  return `${Number((v / 1024 ** power).toPrecision(4))} ${['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'][power]}${unit}`;
}

/** Between two lines of an axis: bytes have round numbers at powers of two. */
export function stepsOf(unit: Unit): number[] {
  const small = Array.from({ length: 18 }, (_, i) => i - 18).flatMap((e) => [1, 2, 5].map((n) => Number(`${n}e${e}`)));
  const large =
    unit === 'B' || unit === 'B/s'
      ? Array.from({ length: 63 }, (_, i) => 2 ** i)
      : Array.from({ length: 24 }, (_, i) => i).flatMap((e) => [1, 2, 5].map((n) => Number(`${n}e${e}`)));
  return [...small, ...large];
}
