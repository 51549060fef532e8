import { describe, expect, it } from 'vitest';
import { parse, strip, visible } from './ansi';

describe('parse', () => {
  it('splits text by its looks and carries the last one on', () => {
    const { pieces, end } = parse('a\x1b[31mred\x1b[1mbold\x1b[0m \x1b[92mg');
    expect(pieces).toEqual([
      { text: 'a', look: {} },
      { text: 'red', look: { color: 1 } },
      { text: 'bold', look: { color: 1, bold: true } },
      { text: ' ', look: {} },
      { text: 'g', look: { color: 10 } },
    ]);
    expect(end).toEqual({ color: 10 });
    expect(parse('next', end).pieces[0]?.look).toEqual({ color: 10 });
  });
  it('knows 256 and true colours, with ; and with :', () => {
    expect(parse('\x1b[38;5;196mx').pieces[0]?.look.color).toBe('#ff0000');
    expect(parse('\x1b[38;5;244;1mx').pieces[0]?.look).toEqual({ color: '#808080', bold: true });
    expect(parse('\x1b[48;2;1;2;300mx').pieces[0]?.look.background).toBe('#0102ff');
    expect(parse('\x1b[38:2::10:20:30mx').pieces[0]?.look.color).toBe('#0a141e');
  });
  it('leaves other sequences and broken ones out without harm', () => {
    expect(strip('\x1b[2K\x1b[1;1Hx\x1b]0;title\x07y\x1b(Bz')).toBe('xyz');
    expect(parse('\x1b[m<script>').pieces).toEqual([{ text: '<script>', look: {} }]);
    expect(strip('end \x1b[')).toBe('end \x1b[');
  });
});

it('shows what a carriage return leaves', () => {
  expect(visible('10 %\r50 %\r100 %\r')).toBe('100 %');
  expect(visible('plain')).toBe('plain');
  expect(visible('dos\r')).toBe('dos');
});
