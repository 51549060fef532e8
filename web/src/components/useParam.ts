// A piece of a page's state that stands in its address, so that a link shows the same.
import { useCallback, useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router-dom';

export function useParam(name: string, fallback = ''): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParams(
        (p) => {
          if (value === fallback) {
            p.delete(name);
          } else {
            p.set(name, value);
          }
          return p;
        },
        { replace: true },
      ),
    [fallback, name, setParams],
  );
  return [params.get(name) ?? fallback, set];
}

/** The same for what is typed: the field has it at once, the address when one pauses. */
export function useTypedParam(name: string): [string, (value: string) => void] {
  const [kept, keep] = useParam(name);
  const [typed, setTyped] = useState(kept);
  const told = useRef(kept);
  useEffect(() => {
    if (kept !== told.current) {
      told.current = kept; // back and forward, a link
      setTyped(kept);
    }
  }, [kept]);
  useEffect(() => {
    if (typed === told.current) {
      return undefined;
    }
    const timer = setTimeout(() => {
      told.current = typed;
      keep(typed);
    }, 300);
    return () => clearTimeout(timer);
  }, [typed, keep]);
  return [typed, setTyped];
}
