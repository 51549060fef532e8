// A command as one line, as a shell would split it: quotes and backslashes, but no variables, pipes or globs.

export interface Split {
  words: string[];
  /** An unfinished quote. */
  isOpen: boolean;
  /** What only a shell understands ("|", "&&", "$X", ">"): the line then needs sh -c. */
  wantsShell: boolean;
}

const SHELL = /[|&;<>()$`*?]/;

export function split(line: string): Split {
  const words: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  let wantsShell = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as string;
    if (quote === "'") {
      quote = c === "'" ? null : quote;
      word = c === "'" ? (word ?? '') : (word ?? '') + c;
    } else if (c === '\\' && i + 1 < line.length) {
      const next = line[++i] as string;
      // In double quotes a backslash stays before what it need not protect.
      word = (word ?? '') + (quote === '"' && !/["\\$`]/.test(next) ? c + next : next);
    } else if (quote === '"') {
      quote = c === '"' ? null : quote;
      wantsShell ||= c === '$' || c === '`';
      word = c === '"' ? (word ?? '') : (word ?? '') + c;
    } else if (c === '"' || c === "'") {
      quote = c;
      word ??= '';
    } else if (/\s/.test(c)) {
      if (word !== null) {
        words.push(word);
      }
      word = null;
    } else {
      wantsShell ||= SHELL.test(c);
      word = (word ?? '') + c;
    }
  }
  if (word !== null) {
    words.push(word);
  }
  return { words, isOpen: quote !== null, wantsShell };
}

const quoted = (w: string) => (/^[\w@%+=:,./-]+$/.test(w) ? w : `'${w.replaceAll("'", `'\\''`)}'`);

/** The line that split() reads back as these words. */
export const join = (words: string[]): string => words.map(quoted).join(' ');
