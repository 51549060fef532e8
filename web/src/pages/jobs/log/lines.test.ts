import { describe, expect, it } from 'vitest';
import { firstLine, linesOf, MAX_LINE } from './lines';

const bytes = (s: string) => new TextEncoder().encode(s);

describe('linesOf', () => {
  it('gives lines with the offsets of their bytes', () => {
    const { lines, rest } = linesOf(bytes('ä\nb\n\nopen'), 100, false);
    expect(lines.map((l) => [l.at, l.text])).toEqual([[100, 'ä'], [103, 'b'], [105, '']]);
    expect(rest).toBe(6);
    expect(linesOf(bytes('open'), 0, true).lines.map((l) => l.text)).toEqual(['open']);
  });
  it('cuts a line without an end, never inside of a character', () => {
    const { lines } = linesOf(bytes('a' + '資'.repeat(MAX_LINE)), 0, true);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.map((l) => l.text).join('')).toBe('a' + '資'.repeat(MAX_LINE));
  });
  it('carries colours over ends of lines', () => {
    const { lines, look } = linesOf(bytes('\x1b[31mred\nstill\x1b[0m\nplain\n'), 0, true);
    expect(lines.map((l) => l.look)).toEqual([{}, { color: 1 }, {}]);
    expect(look).toEqual({});
  });
  it('survives bytes that are no UTF-8', () => {
    const { lines } = linesOf(new Uint8Array([0xff, 0xe8, 10, 0x41, 10]), 0, true);
    expect(lines.map((l) => l.at)).toEqual([0, 3]);
    expect(lines[1]?.text).toBe('A');
  });
});

it('finds the first whole line', () => {
  expect(firstLine(bytes('rest\nline\n'))).toBe(5);
  expect(firstLine(bytes('no end'))).toBe(0);
});
