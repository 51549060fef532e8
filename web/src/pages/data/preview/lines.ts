// Text as rows of one height: long lines are cut into pieces that fit.
const LONGEST = 4000; // characters of a line shown when lines are not wrapped

export interface Row {
  line: number; // counted from 1; 0: goes on
  text: string;
}

// Characters that take two columns: CJK, kana, hangul, full width, most emoji.
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\ud83c-\ud83e][\udc00-\udfff]|[\ud840-\ud87f][\udc00-\udfff]/;

/** Pieces of at most `columns` columns. */
export function pieces(text: string, columns: number): string[] {
  if (text.length <= columns && !WIDE.test(text)) {
    return [text];
  }
  const done: string[] = [];
  let piece = '';
  let width = 0;
  for (const c of text) {
    const w = WIDE.test(c) ? 2 : 1;
    if (width + w > columns && piece) {
      done.push(piece);
      piece = '';
      width = 0;
    }
    piece += c;
    width += w;
  }
  done.push(piece);
  return done;
}

export function rowsOf(text: string, columns: number | null): Row[] {
  const lines = text.split(/\r\n|\n|\r/);
  if (lines.length > 1 && lines.at(-1) === '') {
    lines.pop();
  }
  return lines.flatMap((raw, i) => {
    const line = raw.replace(/\t/g, '    ');
    const parts = columns ? pieces(line, columns) : [line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line];
    return parts.map((part, n) => ({ line: n === 0 ? i + 1 : 0, text: part }));
  });
}
