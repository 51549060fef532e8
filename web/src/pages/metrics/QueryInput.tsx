// One query: its text with completion from what there is, and what the server does not understand at its place.
import { autocompletion, closeBrackets, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { labelNames, labelValues, metricNames } from '../../api/metrics';
import { useAppearance } from '../../app/theme';
import { useText } from '../../i18n';
import { FUNCTIONS, labelText, metricText, placeAt, valueText } from './promql';

interface Props {
  name: string;
  value: string;
  mistake: { line: number; column: number; text: string } | null;
  onRun: (text: string) => void;
}

const look = (dark: boolean) =>
  EditorView.theme(
    {
      '&': { fontSize: '13px', backgroundColor: 'var(--bar)', border: '1px solid var(--edge)', borderRadius: '6px' },
      '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px' },
      '.cm-scroller': { fontFamily: "ui-monospace, 'SF Mono', Consolas, 'Liberation Mono', monospace", lineHeight: '1.6' },
      '.cm-placeholder': { color: 'var(--quiet)' },
      '.cm-tooltip': { backgroundColor: 'var(--bar)', border: '1px solid var(--edge)', color: 'inherit' },
    },
    { dark },
  );

export default function QueryInput({ name, value, mistake, onRun }: Props) {
  const t = useText();
  const { dark } = useAppearance();
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const now = useRef({ value, onRun });
  now.current = { value, onRun };

  useEffect(() => {
    const names = { at: 0, list: null as Promise<string[]> | null };
    const complete = async (c: CompletionContext): Promise<CompletionResult | null> => {
      const place = placeAt(c.state.doc.toString(), c.pos);
      if (!place || (place.kind === 'name' && place.from === c.pos && !c.explicit)) {
        return null;
      }
      if (place.kind === 'name') {
        if (!names.list || Date.now() - names.at > 60_000) {
          names.list = metricNames();
          names.at = Date.now();
        }
        const metrics = await names.list;
        return {
          from: place.from,
          options: [
            ...metrics.map((label) => ({ label, type: 'variable', detail: t('metrics.metric'), apply: metricText(label) })),
            ...FUNCTIONS.map((label) => ({ label, type: 'function', detail: t('metrics.function'), apply: `${label}(`, boost: -1 })),
          ],
          validFor: /^[\w:]*$/,
        };
      }
      const list = place.kind === 'label' ? await labelNames(place.metric) : await labelValues(place.label, place.metric);
      const quote = c.state.sliceDoc(place.from - 1, place.from);
      const options =
        place.kind === 'label'
          ? list.filter((label) => label !== '__name__').map((label) => ({ label, detail: t('metrics.label'), apply: labelText(label) }))
          : list.map((label) => ({ label, apply: valueText(label, quote) }));
      return { from: place.from, options, validFor: place.kind === 'label' ? /^\w*$/ : /^[^"']*$/ };
    };
    const run = (): boolean => (now.current.onRun(view.current?.state.doc.toString() ?? ''), true);
    const editor = new EditorView({
      parent: box.current as HTMLDivElement,
      state: EditorState.create({
        doc: now.current.value,
        extensions: [
          history(), drawSelection(), bracketMatching(), closeBrackets(), look(dark),
          autocompletion({ override: [complete], icons: false }),
          placeholder(t('metrics.placeholder')),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': t('metrics.query_label', { name }) }),
          EditorView.domEventHandlers({ blur: () => void run() }),
          keymap.of(completionKeymap),
          Prec.high(keymap.of([{ key: 'Mod-Enter', run }])),
          keymap.of([{ key: 'Enter', run }, { key: 'Shift-Enter', run: (v) => (v.dispatch(v.state.replaceSelection('\n')), true) }]),
          keymap.of([...defaultKeymap, ...historyKeymap]),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [dark, t, name]);

  useEffect(() => {
    const editor = view.current;
    if (editor && value !== editor.state.doc.toString()) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (editor) {
      const line = editor.state.doc.line(Math.min(editor.state.doc.lines, Math.max(1, mistake?.line ?? 1)));
      const from = Math.min(line.to, line.from + Math.max(0, (mistake?.column ?? 1) - 1));
      editor.dispatch(setDiagnostics(editor.state, mistake ? [{ from, to: Math.max(from, line.to), severity: 'error', message: mistake.text }] : []));
    }
  }, [mistake?.line, mistake?.column, mistake?.text, dark]); // eslint-disable-line react-hooks/exhaustive-deps -- its place, not the object

  return <div ref={box} className="promql-input" />;
}
