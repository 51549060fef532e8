import { describe, expect, it } from 'vitest';
import { mistakeIn, placeAt, secondsOf, seriesName, shown, stepFor } from './promql';

const at = (text: string) => placeAt(text.replace('|', ''), text.indexOf('|'));

describe('where the cursor is in a query', () => {
  it('is at a name', () => {
    expect(at('up|')).toEqual({ kind: 'name', from: 0 });
    expect(at('sum(ra|')).toEqual({ kind: 'name', from: 4 });
    expect(at('|')).toEqual({ kind: 'name', from: 0 });
    expect(at('up{job="x"} + no|')).toEqual({ kind: 'name', from: 14 });
  });
  it('is at a label of a selector', () => {
    expect(at('up{jo|')).toEqual({ kind: 'label', from: 3, metric: 'up' });
    expect(at('rate(a:b{x="}", |')).toEqual({ kind: 'label', from: 16, metric: 'a:b' });
    expect(at('sum by (j|')).toEqual({ kind: 'label', from: 8, metric: '' });
  });
  it('is at a value', () => {
    expect(at('up{job="st|')).toEqual({ kind: 'value', from: 8, metric: 'up', label: 'job' });
    expect(at('{job=~"|')).toEqual({ kind: 'value', from: 7, metric: '', label: 'job' });
  });
});

describe('what a query is told', () => {
  it('has its place', () => {
    expect(mistakeIn('invalid parameter "query": 2:5: parse error: unclosed')).toEqual({ line: 2, column: 5, text: 'unclosed' });
    expect(mistakeIn('found duplicate series')).toBeNull();
  });
});

describe('numbers and times', () => {
  it('are short', () => {
    expect([0, 1.23456, 12345, 1e9, 1e-7, -2.5e6].map(shown)).toEqual(['0', '1.235', '12.35k', '1G', '1.000e-7', '-2.5M']);
    expect(['1h', '90s', 'x', ''].map(secondsOf)).toEqual([3600, 90, NaN, NaN]);
    expect([60, 3600, 86400, 86400 * 400].map(stepFor)).toEqual([1, 15, 600, 86400]);
  });
  it('series are written as PromQL has them', () => {
    expect(seriesName({ __name__: 'up', job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(seriesName({})).toBe('{}');
    expect(seriesName({ __name__: 'up' })).toBe('up');
  });
});
