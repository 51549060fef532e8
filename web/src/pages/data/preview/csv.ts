// A small parser of CSV that takes what it gets: quotes inside cells, rows of different lengths, any of four separators.
const SEPARATORS = [',', '\t', ';', '|'];

export interface Table {
  head: string[] | null; // null: the first row is data already
  rows: string[][];
  isNumber: boolean[]; // columns of numbers
  columns: number;
  isCut: boolean; // there are more rows than were asked for
}

/** The separator that gives the most equal columns in the first lines. */
export function separatorOf(text: string): string {
  const lines = text.split(/\r?\n/, 21).slice(0, 20).filter(Boolean);
  let best = ',';
  let bestScore = 0;
  for (const s of SEPARATORS) {
    const counts = lines.map((l) => l.split(s).length);
    const first = counts[0] ?? 1;
    const same = counts.filter((c) => c === first).length / Math.max(1, counts.length);
    const score = first > 1 ? same * 100 + Math.min(first, 50) / 100 : 0;
    if (score > bestScore) {
      best = s;
      bestScore = score;
    }
  }
  return best;
}

/** At most `max` rows. A last row without an end is left out when the text `isCut`. */
export function parse(text: string, separator: string, max: number, isCut = false): { rows: string[][]; isCut: boolean } {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = text.startsWith('\ufeff') ? 1 : 0;
  const end = text.length;
  while (at <= end && rows.length < max) {
    let cell = '';
    if (text[at] === '"') {
      for (at++; at < end; at++) {
        if (text[at] !== '"') {
          cell += text[at];
        } else if (text[at + 1] === '"') {
          cell += '"';
          at++;
        } else {
          at++;
          break;
        }
      }
    }
    const from = at;
    while (at < end && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') {
      at++;
    }
    row.push(cell + text.slice(from, at));
    if (at < end && text[at] === separator) {
      at++;
      continue;
    }
    const isLast = at >= end;
    at += text[at] === '\r' && text[at + 1] === '\n' ? 2 : 1;
    if (!(isLast && (isCut || (row.length === 1 && row[0] === '')))) {
      rows.push(row);
    }
    row = [];
  }
  return { rows, isCut: isCut || at < end };
}

const NUMBER = /^\s*[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?%?\s*$/i;
const isNumeric = (cell: string) => NUMBER.test(cell) || /^\s*([-+]?inf(inity)?|nan)\s*$/i.test(cell);

/** Numbers below something that is none, or all different words: names of columns. */
function hasHead(rows: string[][], isNumber: boolean[]): boolean {
  const first = rows[0];
  if (!first || rows.length < 2 || first.some(isNumeric)) {
    return false;
  }
  return isNumber.includes(true) || (first.every((c) => c.trim() !== '') && new Set(first).size === first.length);
}

export function tableOf(text: string, max: number, isCut: boolean): Table {
  const parsed = parse(text, separatorOf(text), max + 1, isCut);
  const columns = parsed.rows.reduce((most, r) => Math.max(most, r.length), 0);
  const isNumber = Array.from({ length: columns }, (_, c) => {
    const cells = parsed.rows.slice(1, 201).map((r) => r[c] ?? '').filter((v) => v.trim() !== '');
    return cells.length > 0 && cells.filter(isNumeric).length >= cells.length * 0.9;
  });
  const head = hasHead(parsed.rows, isNumber) ? (parsed.rows[0] ?? null) : null;
  const rows = head ? parsed.rows.slice(1) : parsed.rows;
  return { head, rows: rows.slice(0, max), isNumber, columns, isCut: parsed.isCut || rows.length > max };
}
