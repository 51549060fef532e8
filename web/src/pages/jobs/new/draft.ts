// What is being written: the text, and the form as a view of it. Kept for this tab, so that a reload loses nothing.
import { startTransition, useCallback, useEffect, useState } from 'react';
import { EMPTY, readForm, writeForm, type FormSpec } from './spec';

export interface Draft {
  text: string;
  form: FormSpec; // of the last text that was YAML, with rows that have no name yet
  written: FormSpec; // what `text` says of it: the text follows the form when there is time
  isReadable: boolean;
}

export const draftOf = (text: string): Draft => {
  const read = readForm(text);
  const form = read ?? EMPTY;
  return { text, form, written: form, isReadable: read !== null };
};

/** With all that stands in the form. */
export const written = (d: Draft): Draft =>
  d.form === d.written ? d : { ...d, text: writeForm(d.text, d.written, d.form), written: d.form };

const store = {
  get: (key: string) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set: (key: string, text: string | null) => {
    try {
      return text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key);
    } catch {
      return undefined; // full or forbidden: the page still has it
    }
  },
};

/** `original`: what is there before anything is typed (the job that is cloned). */
export function useDraft(key: string, original: string) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(store.get(key) ?? original));
  const [wasKept] = useState(() => Boolean(store.get(key)));
  useEffect(() => {
    const timer = setTimeout(() => store.set(key, draft.text === original ? null : draft.text), 300);
    return () => clearTimeout(timer);
  }, [key, draft.text, original]);

  const editForm = useCallback((form: FormSpec) => {
    setDraft((d) => ({ ...d, form, isReadable: true }));
    startTransition(() => setDraft(written));
  }, []);
  const editText = useCallback((text: string) => {
    setDraft((d) => {
      if (d.text === text) {
        return d;
      }
      const read = readForm(text);
      const form = read ?? d.form;
      return { text, form, written: form, isReadable: read !== null };
    });
  }, []);
  const restart = useCallback((text: string) => setDraft(draftOf(text)), []);
  const forget = useCallback(() => store.set(key, null), [key]);
  return { draft, wasKept, editForm, editText, restart, forget };
}
