// Colours of terminals in a log (SGR, ECMA-48 8.3.117) as pieces of text with a style; other sequences are left out.

export interface Look {
  color?: number | string; // 0-15: of the palette; else #rrggbb
  background?: number | string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  inverse?: boolean;
}

export interface Piece {
  text: string;
  look: Look;
}

// CSI … final byte; OSC … BEL or ST; two-byte escapes. Bounded, so that no text can make it slow.
// eslint-disable-next-line no-control-regex
const ESCAPE = /\x1b(?:\[([0-9;:?<=>]{0,64})[ -/]{0,4}([@-~])|\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)|[ -/]?[0-Z\\^-~])/g;

export const PLAIN: Look = {};

function of256(n: number): number | string {
  if (n < 16) {
    return n;
  }
  const hex = (v: number) => v.toString(16).padStart(2, '0');
  if (n >= 232) {
    return `#${hex(8 + (n - 232) * 10).repeat(3)}`;
  }
  const level = (v: number) => hex(v === 0 ? 0 : 55 + v * 40);
  return `#${level(Math.floor((n - 16) / 36))}${level(Math.floor((n - 16) / 6) % 6)}${level((n - 16) % 6)}`;
}

/** 38;5;n and 38;2;r;g;b (also with colons): the colour, and how many numbers it took. */
function extended(codes: number[], at: number): [number | string | undefined, number] {
  const byte = (n: number | undefined) => Math.min(255, Math.max(0, n ?? 0));
  if (codes[at] === 5) {
    return [of256(byte(codes[at + 1])), 2];
  }
  if (codes[at] === 2) {
    const rgb = [1, 2, 3].map((i) => byte(codes[at + i]).toString(16).padStart(2, '0'));
    return [`#${rgb.join('')}`, 4];
  }
  return [undefined, 1];
}

function apply(look: Look, params: string): Look {
  const codes = params.replace(/:2::/g, ':2:').split(/[;:]/).map(Number);
  let l: Look = { ...look };
  for (let i = 0; i < codes.length; i++) {
    const c = codes[i] as number;
    if (c === 0) {
      l = {};
    } else if (c === 1 || c === 2 || c === 3 || c === 4 || c === 7) {
      const name = ({ 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse' } as const)[c];
      l[name] = true;
    } else if (c === 22) {
      delete l.bold;
      delete l.dim;
    } else if (c === 23 || c === 24 || c === 27) {
      delete l[({ 23: 'italic', 24: 'underline', 27: 'inverse' } as const)[c]];
    } else if (c === 38 || c === 48) {
      const [color, took] = extended(codes, i + 1);
      l[c === 38 ? 'color' : 'background'] = color;
      i += took;
    } else if (c === 39) {
      delete l.color;
    } else if (c === 49) {
      delete l.background;
    } else if ((c >= 30 && c <= 37) || (c >= 90 && c <= 97)) {
      l.color = c < 90 ? c - 30 : c - 82;
    } else if ((c >= 40 && c <= 47) || (c >= 100 && c <= 107)) {
      l.background = c < 100 ? c - 40 : c - 92;
    }
  }
  return l;
}

/** What a carriage return leaves to see: the text behind the last one (progress bars write over themselves). */
export function visible(line: string): string {
  const end = line.endsWith('\r') ? line.length - 1 : line.length;
  return line.slice(line.lastIndexOf('\r', end - 1) + 1, end);
}

export const strip = (text: string): string => (text.includes('\x1b') ? text.replace(ESCAPE, '') : text);

export function parse(line: string, start: Look = PLAIN): { pieces: Piece[]; end: Look } {
  if (!line.includes('\x1b')) {
    return { pieces: line === '' ? [] : [{ text: line, look: start }], end: start };
  }
  const pieces: Piece[] = [];
  let look = start;
  let from = 0;
  for (const m of line.matchAll(ESCAPE)) {
    if (m.index > from) {
      pieces.push({ text: line.slice(from, m.index), look });
    }
    from = m.index + m[0].length;
    if (m[2] === 'm' && !/[?<=>]/.test(m[1] ?? '')) {
      look = apply(look, m[1] ?? '');
    }
  }
  if (from < line.length) {
    pieces.push({ text: line.slice(from), look });
  }
  return { pieces, end: look };
}
