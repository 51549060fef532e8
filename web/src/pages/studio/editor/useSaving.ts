// The draft of this tab, and saving it as a new version on top of the one that it was made from.
import { useCallback, useEffect, useState } from 'react';
import { ApiError } from '../../../api/client';
import { savePipeline, type Doc } from '../../../api/studio';
import { OWN } from '../../../components/work';
import type { Editor } from './store';

const keyOf = (project: string, name: string) => `${OWN}pipeline.${project}.${name}`;

interface Draft {
  version: number;
  doc: Doc;
}

/** What was changed in this tab and not saved; only while nobody saved another version. */
export function draftOf(project: string, name: string, version: number): Doc | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(keyOf(project, name)) ?? 'null') as Draft | null;
    return kept && kept.version === version ? kept.doc : null;
  } catch {
    return null;
  }
}

export const dropDraft = (project: string, name: string) => sessionStorage.removeItem(keyOf(project, name));

export function useSaving(project: string, name: string, editor: Editor) {
  const [busy, setBusy] = useState(false);
  const [conflict, setConflict] = useState<ApiError | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const keep = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        try {
          if (editor.isChanged) {
            sessionStorage.setItem(keyOf(project, name), JSON.stringify({ version: editor.version, doc: editor.doc } satisfies Draft));
          } else {
            sessionStorage.removeItem(keyOf(project, name));
          }
        } catch {
          // full or forbidden: the page still has it
        }
      }, 300);
    };
    const stop = editor.subscribe(keep);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [project, name, editor]);

  /** The version that holds what is shown; null: it was refused because there is a newer one. */
  const save = useCallback(
    async (over?: number): Promise<number | null> => {
      if (!editor.isChanged && over === undefined) {
        return editor.version;
      }
      const { doc } = editor;
      setBusy(true);
      try {
        const saved = await savePipeline(project, name, over ?? editor.version, doc);
        editor.setSaved(doc, saved.version);
        setConflict(null);
        return saved.version;
      } catch (e) {
        if (e instanceof ApiError && (e.status === 412 || e.status === 409)) {
          setConflict(e);
          return null;
        }
        throw e;
      } finally {
        setBusy(false);
      }
    },
    [project, name, editor],
  );
  return { busy, save, conflict, forget: () => setConflict(null) };
}
