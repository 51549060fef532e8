// Finding words in a log of any size: it is read part by part; hits are kept as offsets, at most so many.
import { useEffect, useState } from 'react';
import { strip } from './ansi';
import type { LogSource } from './source';

export interface Hit {
  at: number; // offset of its line
  nth: number; // which one in its line
}

export interface Found {
  hits: Hit[];
  looked: number; // bytes
  isCapped: boolean;
}

const PART = 2 * 1024 * 1024;
export const MOST_HITS = 10_000;
const NEWLINE = 10;

/** All places of `needle` (lower case) in `bytes`, which begin with a line and lie at `at` in the log. */
export function hitsIn(bytes: Uint8Array, at: number, needle: string): Hit[] {
  const hits: Hit[] = [];
  const text = strip(new TextDecoder().decode(bytes)).toLowerCase();
  // Newlines are the same in the text and in its bytes, whatever is between them.
  let lineText = 0;
  let lineByte = 0;
  let nth = 0;
  for (let i = text.indexOf(needle); i >= 0; i = text.indexOf(needle, i + needle.length)) {
    for (let n = text.indexOf('\n', lineText); n >= 0 && n < i; n = text.indexOf('\n', lineText)) {
      lineText = n + 1;
      lineByte = bytes.indexOf(NEWLINE, lineByte) + 1;
      nth = 0;
    }
    hits.push({ at: at + lineByte, nth: nth++ });
  }
  return hits;
}

/** The hits so far; goes on when the log grows. */
export function useFind(source: LogSource, query: string): Found {
  const [found, setFound] = useState<Found>({ hits: [], looked: 0, isCapped: false });
  useEffect(() => {
    setFound({ hits: [], looked: 0, isCapped: false });
    const needle = query.toLowerCase();
    if (!needle) {
      return undefined;
    }
    const stop = new AbortController();
    let hits: Hit[] = [];
    let looked = 0;
    let busy = false;
    const look = async () => {
      if (busy || stop.signal.aborted) {
        return;
      }
      busy = true;
      try {
        while (looked < source.size && hits.length < MOST_HITS && !stop.signal.aborted) {
          const bytes = await source.read(looked, Math.min(source.size, looked + PART), stop.signal);
          const isLast = looked + bytes.length >= source.size;
          const newline = bytes.lastIndexOf(NEWLINE);
          const whole = newline >= 0 && !(isLast && source.status === 'over') ? newline + 1 : bytes.length;
          if (bytes.length === 0 || (isLast && newline < 0 && source.status !== 'over')) {
            break; // its last line is not finished
          }
          hits = hits.concat(hitsIn(bytes.subarray(0, whole), looked, needle)).slice(0, MOST_HITS);
          looked += whole;
          setFound({ hits, looked, isCapped: hits.length >= MOST_HITS });
          if (whole < bytes.length && isLast) {
            break;
          }
        }
      } catch {
        // cut off: tried again with the next change of the log
      } finally {
        busy = false;
      }
    };
    const debounce = setTimeout(() => void look(), 250);
    const again = setInterval(() => looked < source.size && void look(), 1000);
    return () => {
      stop.abort();
      clearTimeout(debounce);
      clearInterval(again);
    };
  }, [source, query]);
  return found;
}
