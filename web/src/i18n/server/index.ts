// What the server says, in the user's language. It speaks English, by formats of printf; the catalogue of a language has each format
// with its translation, and here a sentence is matched against them. What nothing matches is shown as it came.
// No regular expressions are made of formats: sentences hold names and words of users, and may look like anything.

export type Catalogue = Record<string, string>;
export type Words = 'params' | 'reports' | 'words';

interface Compiled {
  literals: string[]; // around the places: one more than kinds
  kinds: ('text' | 'number' | 'hex')[];
  weight: number; // letters that are not of places
  to: string;
  words: Set<number>; // places that the translation marks as {1:word}
}

const CONVERSION = /%(?:%|[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?([diouxXcsgefGpB]))/g;
const LONGEST = 2000;
const DEEPEST = 8;
const WEAK = 8; // letters
const WORK = 300; // sentences and parts that are looked at for one sentence

function compile(format: string, to: string): Compiled {
  const literals = [''];
  const kinds: Compiled['kinds'] = [];
  let at = 0;
  const add = (text: string) => {
    literals[literals.length - 1] += text;
  };
  for (const m of format.matchAll(CONVERSION)) {
    add(format.slice(at, m.index));
    at = m.index + m[0].length;
    const kind = m[1] === 's' || m[1] === 'c' ? 'text' : /x/i.test(m[1] ?? '') ? 'hex' : 'number';
    if (m[1] === undefined) {
      add('%');
    } else if (!(kind === 'text' && kinds[kinds.length - 1] === 'text' && literals[literals.length - 1] === '')) {
      kinds.push(kind); // texts side by side are one place
      literals.push('');
    }
  }
  add(format.slice(at));
  const words = new Set([...to.matchAll(/\{(\d+):word\}/g)].map((m) => Number(m[1]) - 1));
  return { literals, kinds, weight: literals.join('').length, to: to.replaceAll(':word}', '}'), words };
}

const NUMBER = /-?(?:0x[\da-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)/y;
const HEX = /(?:0x)?[\da-f]+/iy;

/** What stands in the places, or null. From left to right and never back: the time is that of reading the sentence. */
function match({ literals, kinds }: Compiled, s: string): string[] | null {
  const last = literals[literals.length - 1] ?? '';
  if (!s.startsWith(literals[0] ?? '') || !s.endsWith(last)) {
    return null;
  }
  const found: string[] = [];
  let at = literals[0]?.length ?? 0;
  for (let i = 0; i < kinds.length; i++) {
    const next = literals[i + 1] ?? '';
    const isLast = i === kinds.length - 1;
    let end: number;
    if (kinds[i] !== 'text') {
      const number = kinds[i] === 'hex' ? HEX : NUMBER;
      number.lastIndex = at;
      const digits = number.exec(s)?.[0];
      end = at + (digits?.length ?? 0);
      if (!digits || !s.startsWith(next, end)) {
        return null;
      }
    } else {
      end = isLast ? s.length - next.length : next === '' ? at + s.slice(at).search(/\d|$/) : s.indexOf(next, at);
    }
    if (end < at || (isLast && end + next.length !== s.length)) {
      return null;
    }
    found.push(s.slice(at, end));
    at = end + next.length;
  }
  return found;
}

export class Translator {
  private whole = new Map<string, string>(); // those without places: most of what modules say, and it is said often
  private all: Compiled[]; // those with places
  private left = 0;

  /** `words`: of one kind each, such as names of parameters; never looked for in sentences, where they are meant as they are written.
   * Only `words` of that name stand in sentences, in the places that a translation marks: elsewhere "text" may be a column of somebody. */
  constructor(
    catalogue: Catalogue,
    private words: Partial<Record<Words, Catalogue>> = {},
  ) {
    const all = Object.entries(catalogue).map(([format, to]) => compile(format, to));
    this.all = all.filter((c) => c.kinds.length > 0).sort((a, b) => b.weight - a.weight); // the one that says most fits best
    all.filter((c) => c.kinds.length === 0).forEach((c) => this.whole.set(c.literals[0] ?? '', c.to));
  }

  word(kind: Words, name: string): string | undefined {
    const all = this.words[kind];
    return all && Object.hasOwn(all, name) ? all[name] : undefined;
  }

  translate(sentence: string, depth = 0): string {
    this.left = depth === 0 ? WORK : this.left - 1;
    if (sentence.length > LONGEST || depth > DEEPEST || this.left < 0) {
      return sentence;
    }
    const exact = this.whole.get(sentence);
    if (exact !== undefined && (depth === 0 || /\s/.test(sentence))) {
      return exact; // inside of a sentence a word alone may be a name
    }
    for (const c of this.all) {
      const found = match(c, sentence);
      // What wraps a sentence is taken off first: "expr: a is b" is no "%s is %s".
      if (found && (c.weight >= WEAK || !found.slice(0, -1).some((v) => v.includes(': ')))) {
        const values = found.map((value, i) => this.place(c, i, value, depth));
        // "%s: %s" fits nearly everything: it is meant only where what stands in it is known.
        if (c.weight >= WEAK || values.some((v, i) => v !== found[i])) {
          return c.to.replace(/\{(\d+)\}/g, (_, n: string) => values[Number(n) - 1] ?? '');
        }
      }
    }
    return sentence;
  }

  /** What stands in a place: a sentence behind a colon is translated too; a name in quotes never. */
  private place(c: Compiled, i: number, value: string, depth: number): string {
    if (c.words.has(i)) {
      return this.word('words', value) ?? this.whole.get(value) ?? value;
    }
    const before = c.literals[i] ?? '';
    const quote = /['"`]$/.exec(before)?.[0];
    if (c.kinds[i] !== 'text' || (quote && c.literals[i + 1]?.startsWith(quote))) {
      return value;
    }
    if ((value === 's' || value === 'es') && /[a-zA-Z]$/.test(before)) {
      return ''; // a plural
    }
    const isSentence = c.weight < WEAK || /(?:[:;,(] ?|\b(?:is|not|one|and|for) )$/.test(before) || /^[:;,]/.test(value);
    return isSentence || !/[\s/]/.test(value) ? this.translate(value, depth + 1) : (this.whole.get(value) ?? value);
  }
}

// --- the language of the page ---

let translator: Translator | null = null;
const listeners = new Set<() => void>();

function use(next: Translator | null) {
  translator = next;
  listeners.forEach((l) => l());
}

type Parts = [{ server: Catalogue }, { helps: Catalogue; errors: Catalogue } & Record<Words, Catalogue>];
const translatorOf = ([{ server }, { helps, errors, params, reports, words }]: Parts) => new Translator({ ...helps, ...errors, ...server }, { params, reports, words });

/** Loads what a language needs; English needs nothing. */
export async function setServerLanguage(language: string): Promise<void> {
  switch (language) {
    case 'zh-TW':
      return use(translatorOf(await Promise.all([import('./zh-TW'), import('./modules.zh-TW')])));
    case 'zh-CN':
      return use(translatorOf(await Promise.all([import('./zh-CN'), import('./modules.zh-CN')])));
    default:
      return use(null);
  }
}

/** A sentence of the server in the language of the page. */
export const serverText = (sentence: string): string => translator?.translate(sentence) ?? sentence;

/** What people call a parameter of a module, or a word of a report; undefined: it has only its name. */
export const serverWord = (kind: Words, name: string): string | undefined => translator?.word(kind, name);

export function onServerLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
export const serverLanguage = (): Translator | null => translator;
