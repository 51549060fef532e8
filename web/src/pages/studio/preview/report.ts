// Reports as the page shows them. Those with metrics, charts and tables are taken as they are; of any other JSON object numbers
// become metrics, lists of objects tables, a square of counts a confusion matrix.
import type { Chart, ReportPreview, ReportTable } from './types';

const HEAD = ['preview', 'type', 'report', 'version', 'kind', 'metrics', 'charts', 'tables'];

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const isRows = (v: unknown): v is Record<string, unknown>[] => Array.isArray(v) && v.length > 0 && v.every(isObject);
const isSquare = (v: unknown): v is number[][] => Array.isArray(v) && v.length > 0 && v.every((r) => Array.isArray(r) && r.length === v.length && r.every((n) => typeof n === 'number'));

function tableOf(title: string, rows: Record<string, unknown>[]): ReportTable {
  const columns = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  return { title, columns, rows: rows.map((r) => columns.map((c) => r[c])) };
}

/** What names the rows of a matrix: the first text of each of a list of as many objects. */
function namesFor(size: number, all: Record<string, unknown>): string[] {
  const rows = Object.values(all).find((v) => isRows(v) && v.length === size) as Record<string, unknown>[] | undefined;
  return Array.from({ length: size }, (_, i) => String((rows && Object.values(rows[i] as Record<string, unknown>).find((v) => typeof v === 'string')) ?? i));
}

export function reportOf(raw: object): ReportPreview {
  const given = raw as ReportPreview;
  if (isObject(given.metrics) || Array.isArray(given.charts) || Array.isArray(given.tables)) {
    return { ...given, charts: Array.isArray(given.charts) ? given.charts : [], tables: Array.isArray(given.tables) ? given.tables : [] };
  }
  const all = Object.fromEntries(Object.entries(raw as Record<string, unknown>).filter(([k]) => !HEAD.includes(k)));
  const entries = Object.entries(all);
  const metrics = Object.fromEntries(entries.filter(([, v]) => typeof v === 'number' || v === null));
  const charts = entries.flatMap(([, v]): Chart[] => (isSquare(v) ? [{ kind: 'confusion', labels: namesFor(v.length, all), counts: v }] : []));
  const groups = entries.flatMap(([name, v]) => (isObject(v) && Object.values(v).every((x) => typeof x === 'number') ? [{ name, ...v }] : []));
  const tables = entries.flatMap(([name, v]) => (isRows(v) ? [tableOf(name, v)] : []));
  return { type: 'report', metrics, charts, tables: groups.length > 0 ? [tableOf('', groups), ...tables] : tables };
}
