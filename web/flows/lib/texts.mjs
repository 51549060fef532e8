// The dictionaries of the console, read from their files: which text belongs to which language.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const I18N = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../../src/i18n');
const ENTRY = /^ {2}'([^']+)':\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)/gm;
const plain = (text) => text.replace(/\\n/g, '\n').replace(/\\(.)/g, '$1');

function read(language) {
  const folder = path.join(I18N, language);
  const texts = {};
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.ts'))) {
    const source = readFileSync(path.join(folder, file), 'utf8');
    for (const [, key, ...quoted] of source.matchAll(ENTRY)) {
      texts[key] = plain(quoted.find((q) => q !== undefined));
    }
  }
  return texts;
}

const en = read('en');
const others = { 'zh-TW': read('zh-TW'), 'zh-CN': read('zh-CN') };
assert.ok(Object.keys(en).length > 300);

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const asPattern = (text) => new RegExp(`^${escape(text).replace(/\\\{\w+\\\}/g, '.+?')}$`, 's');

/** What of these words is the console's own English in a page of that language, or the name of a text. */
export function leftOver(language, words) {
  const wrong = new Set(words.filter((w) => w in en));
  if (language !== 'en') {
    const own = others[language];
    const texts = new Set(Object.values(own));
    const foreign = Object.keys(en).filter((k) => own[k] !== en[k] && !texts.has(en[k]) && en[k].replace(/\{\w+\}/g, '').trim().length > 3);
    const patterns = foreign.map((k) => asPattern(en[k]));
    words.filter((w) => patterns.some((p) => p.test(w))).forEach((w) => wrong.add(w));
  }
  return [...wrong];
}
