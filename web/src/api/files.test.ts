import { describe, expect, it } from 'vitest';
import { cursorBefore, decodeRaw, encodeName, joinRaw, lastOf, parentOf, rawPath, shown, visible } from './files';

describe('names', () => {
  it('are shown whole where they are UTF-8, and byte by byte where they are not', () => {
    expect(decodeRaw(encodeName('圖 a%41?.txt'))).toBe('圖 a%41?.txt');
    expect(decodeRaw('%FF%FE.bin')).toBe('\\xFF\\xFE.bin');
    expect(decodeRaw('a%E5%9C%96%FF%E5%9C')).toBe('a圖\\xFF\\xE5\\x9C');
    expect(decodeRaw('%41%42%FF')).toBe('AB\\xFF');
  });
  it('show what they hide', () => {
    expect(visible('photo\u202egnp.exe')).toBe('photo⟨U+202E⟩gnp.exe');
    expect(visible('a\nb\x1b')).toBe('a⟨U+000A⟩b⟨U+001B⟩');
    expect(shown('%3Cb%3E')).toBe('<b>');
  });
  it('with half a surrogate can be encoded', () => {
    expect(encodeName('a\ud800b')).toBe('a%EF%BF%BDb');
    expect(encodeName('\u{1f600}')).toBe('%F0%9F%98%80');
  });
  it('join and part', () => {
    expect(joinRaw('', 'a')).toBe('a');
    expect(joinRaw('a/b', 'c')).toBe('a/b/c');
    expect([lastOf('a/b'), lastOf('a'), parentOf('a/b/c'), parentOf('a')]).toEqual(['b', 'a', 'a/b', '']);
    expect(rawPath('/a b//c/')).toBe('a%20b/c');
  });
  it('make a cursor that is just before them', () => {
    const text = atob(cursorBefore('abc')!.replace(/-/g, '+').replace(/_/g, '/'));
    expect(text.length).toBe(255);
    expect(text.startsWith('abb\xff') && text < 'abc').toBe(true);
    expect(cursorBefore('')).toBeNull();
  });
});
