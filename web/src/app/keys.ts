// Keys that work anywhere, except while one types: "?", "/", and two after each other ("g j").
import { useEffect, useRef } from 'react';

const TOGETHER_MS = 1000;

export function isTyping(at: EventTarget | null): boolean {
  const el = at as HTMLElement | null;
  return Boolean(el?.isContentEditable) || /^(INPUT|TEXTAREA|SELECT)$/.test(el?.tagName ?? '');
}

export function useKeys(keys: Record<string, () => void>) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    let before = { key: '', at: 0 };
    const onKey = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target)) {
        return;
      }
      const two = e.timeStamp - before.at < TOGETHER_MS ? `${before.key} ${e.key}` : '';
      before = { key: e.key, at: e.timeStamp };
      const run = latest.current[two] ?? latest.current[e.key];
      if (run) {
        e.preventDefault();
        run();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
