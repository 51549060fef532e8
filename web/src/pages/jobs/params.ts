// States of a page that stand in its address, so that a link shows the same.
import { useCallback, useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router-dom';

/** A parameter of the address; '' takes it away. Changing it makes no new entry in the history unless asked to. */
export function useParam(name: string, options: { push?: boolean } = {}): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const { push = false } = options;
  const set = useCallback(
    (value: string) =>
      setParams(
        (old) => {
          const now = new URLSearchParams(old);
          if (value === '') {
            now.delete(name);
          } else {
            now.set(name, value);
          }
          return now;
        },
        { replace: !push },
      ),
    [setParams, name, push],
  );
  return [params.get(name) ?? '', set];
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
