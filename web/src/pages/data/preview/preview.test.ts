import { describe, expect, it } from 'vitest';
import { parse, separatorOf, tableOf } from './csv';
import { Exact, jsonRows, parseJson } from './jsonRows';
import { pieces, rowsOf } from './lines';
import { hexLines, imageType, kindsOf, textOf } from './sniff';

const bytes = (s: string) => new TextEncoder().encode(s);

describe('what a file is', () => {
  it('is seen by its bytes first', () => {
    const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]);
    expect(imageType(png)).toBe('image/png');
    expect(kindsOf('a.json', png, null)).toEqual(['image', 'hex']);
    expect(kindsOf('a.png', bytes('text'), 'text')).toEqual(['text', 'hex']);
    expect(kindsOf('a.svg', bytes('<svg/>'), '<svg/>')).toEqual(['text', 'hex']);
    expect(kindsOf('A.CSV', bytes('a'), 'a')[0]).toBe('csv');
  });
  it('is text when it is UTF-8, also where the end is cut', () => {
    const cut = bytes('圖圖').subarray(0, 5);
    expect(textOf(cut, true)).toBe('圖');
    expect(textOf(cut, false)).toBeNull();
    expect(textOf(new Uint8Array([65, 0]), false)).toBeNull();
    expect(textOf(new Uint8Array([0xff, 0xfe, 65, 0]), false)).toBe('A');
  });
  it('in hexadecimal', () => {
    expect(hexLines(bytes('strata\n'))).toEqual(['00000000  73 74 72 61 74 61 0a                              |strata·|']);
    expect(hexLines(new Uint8Array(256)).length).toBe(16);
  });
});

describe('lines', () => {
  it('are wrapped by columns', () => {
    expect(pieces('abcdef', 4)).toEqual(['abcd', 'ef']);
    expect(pieces('圖圖圖', 4)).toEqual(['圖圖', '圖']);
    expect(pieces('', 4)).toEqual(['']);
    expect(rowsOf('abcdef\nx\n', 4)).toEqual([
      { line: 1, text: 'abcd' },
      { line: 0, text: 'ef' },
      { line: 2, text: 'x' },
    ]);
  });
});

describe('CSV', () => {
  it('has quotes, ends of lines and separators of all kinds', () => {
    expect(parse('a,"b ""x"", c"\r\n"1\n2",3', ',', 10).rows).toEqual([['a', 'b "x", c'], ['1\n2', '3']]);
    expect(parse('\ufeffa;b\n\n', ';', 10).rows).toEqual([['a', 'b'], ['']]);
    expect(parse('a,b\n1,2\n3,', ',', 10, true).rows).toEqual([['a', 'b'], ['1', '2']]);
    expect(parse('"never ends, ', ',', 10).rows).toEqual([['never ends, ']]);
    expect([separatorOf('a;b;c\n1,5;2;3'), separatorOf('a\tb'), separatorOf('x')]).toEqual([';', '\t', ',']);
  });
  it('shows which columns are numbers, and whether there is a head', () => {
    const t = tableOf('name,loss\na,0.5\nb,1e-3\nc,nan\n', 1000, false);
    expect(t).toMatchObject({ head: ['name', 'loss'], isNumber: [false, true], columns: 2, isCut: false });
    expect(tableOf('1,2\n3,4\n', 1000, false).head).toBeNull();
    const long = tableOf('n\n' + '1\n'.repeat(5000), 1000, false);
    expect(long.rows.length).toBe(1000);
    expect(long.isCut).toBe(true);
  });
});

describe('JSON', () => {
  it('is rows of what is open', () => {
    const rows = jsonRows(parseJson('{"a":[1,{"b":null}],"c":"x"}'), (_, depth) => depth < 1);
    expect(rows.map((r) => [r.depth, r.name, r.size])).toEqual([[0, null, 2], [1, 'a', 2], [1, 'c', null]]);
    expect(jsonRows(parseJson('[1,[2]]'), () => true).map((r) => r.path)).toEqual(['', '/0', '/1', '/1/0']);
  });
  it('of great depth and length is no trouble', () => {
    const deep = '['.repeat(3000) + ']'.repeat(3000);
    expect(jsonRows(parseJson(deep), () => true).length).toBe(3000);
    const rows = jsonRows(parseJson(`[${'1,'.repeat(4999)}1]`), () => true);
    expect(rows.length).toBe(1002);
    expect(rows.at(-1)?.more).toBe(4000);
  });
  it('keeps numbers that JavaScript cannot hold, where the engine tells', () => {
    const v = parseJson('[12345678901234567890]') as unknown[];
    expect(v[0] instanceof Exact ? v[0].text : v[0]).toSatisfy((x: unknown) => x === '12345678901234567890' || typeof x === 'number');
  });
});
