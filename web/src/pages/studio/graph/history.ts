// Undo and redo: the documents before and after. They share what did not change, so that many cost little.

const MOST = 200;

export interface History<T> {
  past: T[];
  now: T;
  future: T[];
  /** What the last change was of: changes of the same thing in a row are one step (typing into a field). */
  tag: string;
}

export const historyOf = <T>(now: T): History<T> => ({ past: [], now, future: [], tag: '' });

export function push<T>(h: History<T>, now: T, tag = ''): History<T> {
  if (now === h.now) {
    return h;
  }
  const isSame = tag !== '' && tag === h.tag;
  return { past: isSame ? h.past : [...h.past, h.now].slice(-MOST), now, future: [], tag };
}

export function undo<T>(h: History<T>): History<T> {
  const before = h.past.at(-1);
  return before === undefined ? h : { past: h.past.slice(0, -1), now: before, future: [h.now, ...h.future], tag: '' };
}

export function redo<T>(h: History<T>): History<T> {
  const [next, ...rest] = h.future;
  return next === undefined ? h : { past: [...h.past, h.now], now: next, future: rest, tag: '' };
}
