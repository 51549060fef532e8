// Bytes of a log as lines, each with the offset of its first byte, so that any part of it can be read again.
import { parse, PLAIN, type Look } from './ansi';

export interface Line {
  at: number; // offset of its first byte
  text: string;
  look: Look; // of its first character: colours go on over the ends of lines
}

/** A line without an end is cut here: it must not fill the memory, nor a screen. */
export const MAX_LINE = 8192;
const NEWLINE = 10;

/** Where the line that begins at `from` ends: behind its newline, or at the most bytes of a line; -1: not yet. */
function endOf(bytes: Uint8Array, from: number, isWhole: boolean): number {
  const newline = bytes.indexOf(NEWLINE, from);
  const end = newline < 0 ? bytes.length : newline + 1;
  if (end - from > MAX_LINE) {
    let cut = from + MAX_LINE;
    while (cut > from + MAX_LINE - 4 && ((bytes[cut] as number) & 0xc0) === 0x80) {
      cut--; // not inside of a character
    }
    return cut;
  }
  return newline < 0 && !isWhole ? -1 : end;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The lines of `bytes`, which lie at `at` in the log. Without `isWhole` the last line stays open when it has no
 * newline yet: `rest` is where it begins.
 */
export function linesOf(bytes: Uint8Array, at: number, isWhole: boolean, look: Look = PLAIN) {
  const lines: Line[] = [];
  let from = 0;
  let now = look;
  while (from < bytes.length) {
    const end = endOf(bytes, from, isWhole);
    if (end < 0) {
      break;
    }
    const text = decoder.decode(bytes.subarray(from, bytes[end - 1] === NEWLINE ? end - 1 : end));
    lines.push({ at: at + from, text, look: now });
    now = text.includes('\x1b') ? parse(text, now).end : now;
    from = end;
  }
  return { lines, rest: from, look: now };
}

/** Where the first whole line begins; 0 when there is no newline: then a long line is shown from its middle. */
export function firstLine(bytes: Uint8Array): number {
  const newline = bytes.indexOf(NEWLINE);
  return newline < 0 || newline + 1 >= bytes.length ? 0 : newline + 1;
}
