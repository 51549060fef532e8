import { describe, expect, it } from 'vitest';
import { labelText, metricText, mistakeIn, placeAt, secondsOf, seriesName, shown, shownIn, stepFor, stepsOf, unitOf, valueText } from './promql';

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
    expect(seriesName({ __name__: 'my.metric', 'my label': 'x' })).toBe('{"my.metric", "my label"="x"}');
    expect(seriesName({ __name__: 'température' })).toBe('{"température"}');
  });
  it('what is completed is quoted where it must be', () => {
    expect(['up', 'a:b', 'my.metric'].map(metricText)).toEqual(['up', 'a:b', '{"my.metric"}']);
    expect(['job', 'a:b', 'my label'].map(labelText)).toEqual(['job', '"a:b"', '"my label"']);
    expect([valueText('a"b\\', '"'), valueText('a"b\'c\\', "'")]).toEqual(['a\\"b\\\\', 'a"b\\\'c\\\\']);
  });
});

describe('the unit of a query', () => {
  it('is that of the names in it', () => {
    expect(unitOf('node_memory_MemAvailable_bytes')).toBe('B');
    expect(unitOf('sum by (x) (rate(node_network_receive_bytes_total{device!="a/b"}[5m]))')).toBe('B/s');
    expect(unitOf('scrape_duration_seconds')).toBe('s');
    expect(unitOf('100 * (1 - a_bytes / b_bytes)')).toBe('%');
  });
  it('is none where they do not agree or make something else', () => {
    for (const q of ['', 'up', 'a_bytes / b_bytes', 'rate(cpu_seconds_total[5m])', 'count(a_bytes)', 'a_bytes + b_seconds', 'up{x="a_bytes"}']) {
      expect(unitOf(q), q).toBe('');
    }
  });
  it('is written with the number', () => {
    expect(shownIn(1536, 'B')).toBe('1.5 KiB');
    expect(shownIn(0, 'B/s')).toBe('0 B/s');
    expect(shownIn(-3 * 1024 ** 3, 'B')).toBe('-3 GiB');
    expect(shownIn(0.0025, 's')).toBe('2.5 ms');
    expect(shownIn(0.0000031, 's')).toBe('3.1 µs');
    expect(shownIn(12.3456, '%')).toBe('12.35 %');
    expect(shownIn(12000, '')).toBe('12k');
  });
  it('has round steps on an axis, one larger than the other', () => {
    for (const unit of ['', 'B', 'B/s', 's', '%'] as const) {
      const steps = stepsOf(unit);
      expect(steps.every((step, i) => i === 0 || step > steps[i - 1]!)).toBe(true);
      expect(steps).toContain(0.05);
    }
    expect(stepsOf('B').filter((step) => step >= 1024).every((step) => /^\d+ [KMGTP]iB$/.test(shownIn(step, 'B')) || step >= 2 ** 60)).toBe(true);
    expect(stepsOf('s')).toContain(500);
  });
});
