// Saving what a dialog holds: busy meanwhile, closed when it went well, else with what was wrong.
import { useState } from 'react';

export function useSave<T>(save: (fields: T) => Promise<unknown>, close: () => void) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async (fields: T) => {
    setBusy(true);
    setError(null);
    try {
      await save(fields);
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return { busy, error, run };
}
