import { describe, expect, it } from 'vitest';
import { fill, fromBrowser } from './index';
import { en, type Key } from './en';
import { zhCN } from './zh-CN';
import { zhTW } from './zh-TW';

const names = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('texts', () => {
  for (const [language, texts] of [['zh-TW', zhTW], ['zh-CN', zhCN]] as const) {
    it(`${language} has every text, with the same names in it, and none that is left in English`, () => {
      expect(Object.keys(texts).sort()).toEqual(Object.keys(en).sort());
      for (const key of Object.keys(en) as Key[]) {
        expect(texts[key], key).not.toBe('');
        expect(names(texts[key]), key).toEqual(names(en[key]));
        if (/[a-z]{4,} [a-z]{3,}/.test(en[key])) {
          expect(texts[key], key).not.toBe(en[key]);
        }
      }
    });
  }

  it('are in the language that the browser asks for', () => {
    expect(fromBrowser(['fr', 'zh-Hant-HK', 'en'])).toBe('zh-TW');
    expect(fromBrowser(['zh'])).toBe('zh-CN');
    expect(fromBrowser(['de', 'en-US'])).toBe('en');
    expect(fromBrowser([])).toBe('en');
  });

  it('take values by name, and keep what they have none for', () => {
    expect(fill('{a} of {b}', { a: 1 })).toBe('1 of {b}');
  });
});
