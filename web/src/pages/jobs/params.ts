// States of a page that stand in its address, so that a link shows the same.
import { useCallback } from 'react';
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
