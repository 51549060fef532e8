// The server's check of the whole graph, a moment after each change that has a meaning.
import { useEffect } from 'react';
import { check } from '../../../api/studio';
import type { Doc } from '../../../api/studio';
import type { Editor } from './store';

const REST_MS = 400;

/** Where nodes stand says nothing. */
function meaning(doc: Doc): string {
  return JSON.stringify({ ...doc, comments: undefined, nodes: Object.entries(doc.nodes).map(([id, { at: _at, title: _title, ...n }]) => [id, n]) });
}

export function useCheck(project: string, editor: Editor) {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asked = '';
    let last: Doc | null = null;
    let abort = new AbortController();
    const ask = async () => {
      abort.abort();
      abort = new AbortController();
      const { doc } = editor;
      try {
        const checked = await check(project, doc, abort.signal);
        editor.setChecked(checked);
      } catch (e) {
        if ((e as Error).name !== 'AbortError') {
          asked = ''; // the next change asks again
          editor.setChecked(null);
        }
      }
    };
    const look = () => {
      if (editor.doc === last) {
        return;
      }
      last = editor.doc;
      const now = meaning(last);
      if (now !== asked) {
        asked = now;
        clearTimeout(timer);
        timer = setTimeout(() => void ask(), REST_MS);
        editor.setChecking();
      }
    };
    look();
    const stop = editor.subscribe(look);
    return () => {
      stop();
      clearTimeout(timer);
      abort.abort();
    };
  }, [project, editor]);
}
