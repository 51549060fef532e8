import { describe, expect, it } from 'vitest';
import type { Run } from '../../../api/studio';
import { valueOf } from '../runs/RunDialog';
import { compared } from '../runs/compared';
import { numberOf } from '../editor/ParamField';
import { reportOf } from './report';
import { scaleOf, thin, ticksOf } from './scale';
import { figure } from './types';
import { placeOf } from './Axes';

describe('a report', () => {
  it('with metrics and charts is taken as it is', () => {
    const given = { type: 'report' as const, metrics: { auc: 0.8 }, charts: [{ kind: 'roc', x: [0, 1], y: [0, 1] }] };
    expect(reportOf(given)).toEqual({ ...given, tables: [] });
  });

  it('of any other form is shown by what it holds', () => {
    const report = reportOf({ preview: 1, report: 'evaluate_multiclass', rows: 30, accuracy: 0.9, macro: { f1: 0.8 }, classes: [{ class: 'a', f1: 1 }, { class: 'b', f1: 0.6 }], confusion: [[9, 1], [2, 18]] });
    expect(report.metrics).toEqual({ rows: 30, accuracy: 0.9 });
    expect(report.charts).toEqual([{ kind: 'confusion', labels: ['a', 'b'], counts: [[9, 1], [2, 18]] }]);
    expect(report.tables?.map((t) => t.rows)).toEqual([[['macro', 0.8]], [['a', 1], ['b', 0.6]]]);
  });
});

describe('charts', () => {
  it('have round numbers beside their axes, and a place for any range', () => {
    expect(ticksOf(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticksOf(3, 3, 5)).toEqual([3]);
    const flat = scaleOf([2, 2], 0, 100);
    expect(flat.at(2)).toBe(50);
    expect(scaleOf([], 0, 100).at(0.5)).toBe(50);
    expect(scaleOf([NaN, 0, 10], 0, 100).at(10)).toBe(100);
  });

  it('write days and moments as dates, and years without a comma', () => {
    expect(placeOf(19723, 'date')).toBe('2024-01-01');
    expect(placeOf(19723 * 86_400_000_000, 'time')).toBe('2024-01-01');
    expect(placeOf((19723 * 24 + 6.5) * 3_600_000_000, 'time')).toBe('2024-01-01 06:30');
    expect(placeOf(1949.5, 'real')).toBe('1949.5');
    expect(placeOf(1950, 'int')).toBe('1950');
    expect(placeOf(1e300, 'date')).toBe('1e+300');
  });

  it('draw the first and the last of many points', () => {
    const points = thin(Array.from({ length: 10_000 }, (_, i) => i), 100);
    expect(points.length).toBe(100);
    expect([points[0], points.at(-1)]).toEqual([0, 9999]);
  });

  it('write numbers as people read them', () => {
    expect([figure(0.8412345), figure(12), figure(1e-9), figure(null), figure('x')]).toEqual(['0.8412', '12', '1.000e-9', '–', 'x']);
  });
});

describe('what is typed', () => {
  it('is a number where it is one, else as it stands for the check to judge', () => {
    expect([numberOf('7'), numberOf(' 1e-3 '), numberOf('${seed}'), numberOf('7x'), numberOf('')]).toEqual([7, 0.001, '${seed}', '7x', undefined]);
    expect(valueOf({ name: 'p', type: 'bool' }, 'true')).toBe(true);
    expect(valueOf({ name: 'p', type: 'text' }, '7')).toBe('7');
    expect(valueOf({ name: 'p', type: 'int' }, '')).toBeUndefined();
  });
});

describe('two runs', () => {
  it('stand side by side', () => {
    const run = (id: number, auc: number): Run => ({
      id, pipeline: 'p', version: 1, state: 'succeeded', params: { seed: String(id) }, created_at: '', started_at: null, finished_at: null, by: 'x',
      to: null, from: null,
      nodes: { judge: { state: 'succeeded', module: 'evaluate', done: 1, text: '', job: null, started_at: null, finished_at: null, metrics: { auc }, warnings: [], outputs: {}, error: null, cache: { hit: false, why: 'never run before' } } },
    });
    const doc = (fraction: number) => ({ pipeline: 1, nodes: { split: { module: 'split', params: { fraction } } } });
    const all = compared(run(1, 0.8), run(2, 0.9), doc(0.7), doc(0.8));
    expect(all.metrics).toEqual([{ name: 'judge.auc', a: 0.8, b: 0.9 }]);
    expect(all.params).toContainEqual({ name: 'split.fraction', a: '0.7', b: '0.8' });
    expect(all.params).toContainEqual({ name: 'seed', a: '1', b: '2' });
    expect(all.steps[0]?.a).toBe('succeeded – never run before');
  });
});
