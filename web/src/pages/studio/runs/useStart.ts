// A run is asked for: what is on the canvas is saved first, and what is wrong with it is told once, by the list that stands there already.
import { App } from 'antd';
import { useState } from 'react';
import { ApiError } from '../../../api/client';
import { startRun, type Run, type RunRequest } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';
import type { Editor } from '../editor/store';

interface Starting {
  asking: RunRequest | null; // what the dialog for run-time parameters is open for
  ask: (request: RunRequest) => void;
  start: (request: RunRequest) => Promise<void>;
  close: () => void;
}

export function useStart(project: string, name: string, editor: Editor, save: () => Promise<number | null>, started: (id: Run['id']) => void): Starting {
  const t = useText();
  const say = useServerText();
  const { message } = App.useApp();
  const [asking, setAsking] = useState<RunRequest | null>(null);
  /** false: the list is empty. */
  const pointAtMistakes = () => {
    const wrong = editor.checked?.mistakes ?? [];
    const node = wrong.find((m) => m.node)?.node;
    if (wrong.length > 0) {
      void message.error(t('studio.cannot_run', { n: wrong.length }));
      editor.select(node ? [node] : []);
    }
    return wrong.length > 0;
  };
  const start = async (request: RunRequest) => {
    const at = editor.readOnly ? undefined : await save();
    if (at === null) {
      return; // refused: the dialog says why
    }
    try {
      started((await startRun(project, name, { ...request, ...(at ? { version: at } : {}) })).id);
    } catch (e) {
      if (!(e instanceof ApiError && e.mistakes.length > 0 && pointAtMistakes())) {
        throw e;
      }
    }
  };
  const ask = (request: RunRequest) => {
    const isWhole = !request.to && !request.from; // a part may be fine where the rest is not
    if (isWhole && !editor.checking && pointAtMistakes()) {
      return;
    }
    if ((editor.doc.params ?? []).length > 0) {
      setAsking(request);
    } else {
      start(request).catch((e: ApiError) => void message.error(say(e.original)));
    }
  };
  return { asking, ask, start, close: () => setAsking(null) };
}
