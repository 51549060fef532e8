// Previews as strata-ml writes them beside each output (docs/formats/pipeline.md). They come from a container: anything may be missing.

export interface ColumnPreview {
  name: string;
  type: string;
  missing?: number;
  distinct?: number;
  min?: number | string;
  max?: number | string;
  mean?: number;
  std?: number;
  quantiles?: number[];
  histogram?: { edges: number[]; counts: number[] };
  top?: [string, number][];
}

export interface TablePreview {
  type: 'table';
  rows: number;
  columns: ColumnPreview[];
  columns_total?: number; // when not all of them are here
  head: unknown[][];
}

export interface Tree {
  feature?: string;
  threshold?: number;
  categories?: string[];
  left?: Tree;
  right?: Tree;
  n?: number;
  value?: unknown;
}

export interface ModelPreview {
  type: 'model' | 'transform';
  kind?: string;
  task?: string;
  label?: string;
  classes?: (string | number)[];
  features?: string[];
  importance?: [string, number][];
  tree?: Tree;
  figures?: Record<string, unknown>;
}

export interface Series {
  name?: string;
  x?: number[];
  y: number[];
}

export interface Chart {
  kind: string;
  title?: string;
  x_label?: string;
  y_label?: string;
  x_as?: string; // what x means: date, time, int, real
  x?: (number | string)[];
  y?: number[];
  labels?: (string | number)[];
  counts?: number[][];
  series?: Series[];
}

export interface ReportTable {
  title?: string;
  columns: string[];
  rows: unknown[][];
}

export interface ReportPreview {
  type: 'report';
  kind?: string;
  metrics?: Record<string, unknown>;
  charts?: Chart[];
  tables?: ReportTable[];
}

export type AnyPreview = TablePreview | ModelPreview | ReportPreview;

/** A number as people read it: four digits where it is no whole one. */
export function figure(v: unknown): string {
  if (typeof v !== 'number') {
    return v === null || v === undefined ? '–' : typeof v === 'object' ? JSON.stringify(v) : String(v);
  }
  if (Math.abs(v) >= 1000 && Math.abs(v) < 1e6) {
    return Number(v.toFixed(Number.isInteger(v) ? 0 : 1)).toLocaleString();
  }
  return Number.isInteger(v) && Math.abs(v) < 1e15 ? v.toLocaleString() : Math.abs(v) >= 1e6 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(3) : String(Number(v.toPrecision(4)));
}
