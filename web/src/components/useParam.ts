// A piece of a page's state that stands in its address, so that a link shows the same.
import { useCallback } from 'react';
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
