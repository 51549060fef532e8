// An editor for a job's YAML: completion of keys and values, mistakes at their place. Loaded when it is first shown.
import { autocompletion, closeBrackets, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, defaultHighlightStyle, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { forEachDiagnostic, lintGutter, lintKeymap, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import type { Mistake } from '../../../api/client';
import { useAppearance } from '../../../app/theme';
import { useText } from '../../../i18n';
import { serverText } from '../../../i18n/server';
import { completionsAt, type Known } from './complete';
import { syntaxOf } from './spec';

interface Props {
  value: string;
  onChange: (text: string) => void;
  mistakes: Mistake[];
  known: Known;
  onSubmit: () => void;
}

// The colours that come with the editor are for white paper; these are the same ones for a dark one.
const DARK: Record<string, string> = {
  '#404740': '#c6d0d3', '#708': '#d9a6f0', '#219': '#a9b4ff', '#164': '#7fd8a4', '#a11': '#ffb0a3', '#e40': '#ffb37a', '#00f': '#9db8ff',
  '#30a': '#c3b1ff', '#085': '#6fd6b8', '#167': '#86cfe6', '#256': '#9ccbd1', '#00c': '#9fc4ff', '#940': '#e5b887', '#f00': '#ff8a7e',
}; // prettier-ignore
const darkHighlight = HighlightStyle.define(
  defaultHighlightStyle.specs.map((s) => ({ ...s, color: typeof s.color === 'string' ? (DARK[s.color] ?? s.color) : s.color })),
);

const look = (dark: boolean) =>
  EditorView.theme(
    {
      '&': { fontSize: '13px', backgroundColor: 'var(--bar)', border: '1px solid var(--edge)', borderRadius: '6px', minHeight: '360px' },
      '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px' },
      '.cm-scroller': { fontFamily: "ui-monospace, 'SF Mono', Consolas, 'Liberation Mono', monospace", lineHeight: '1.6', minHeight: '360px' },
      '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--quiet)', border: 'none' },
      '.cm-activeLine': { backgroundColor: dark ? '#ffffff0d' : '#0b6e6e0d' },
      '.cm-placeholder': { color: 'var(--quiet)' },
      '.cm-tooltip': { backgroundColor: 'var(--bar)', border: '1px solid var(--edge)', color: 'inherit' },
      '.cm-diagnostic': { whiteSpace: 'pre-wrap', maxWidth: '420px' },
    },
    { dark },
  );

const SERVER = 'server';

/** Where a mistake that the server tells by line and column is; to the end of its line. */
function placeOf(state: EditorState, m: Mistake): Diagnostic {
  const line = state.doc.line(Math.min(state.doc.lines, Math.max(1, m.line)));
  const from = Math.min(line.to, line.from + Math.max(0, m.column - 1));
  return { from, to: Math.max(from, line.to), severity: 'error', message: m.key ? `${m.key}: ${serverText(m.message)}` : serverText(m.message), source: SERVER };
}

/** What the server said stays until its place is edited; what we see ourselves is looked for anew. */
function check(view: EditorView, edited: (from: number, to: number) => boolean) {
  const all: Diagnostic[] = syntaxOf(view.state.doc.toString()).map((m) => ({
    from: Math.min(m.from, view.state.doc.length),
    to: Math.min(m.to, view.state.doc.length),
    severity: 'error',
    message: m.message,
  }));
  forEachDiagnostic(view.state, (d, from, to) => {
    if (d.source === SERVER && !edited(from, to)) {
      all.push({ ...d, from, to });
    }
  });
  view.dispatch(setDiagnostics(view.state, all));
}

export default function YamlEditor({ value, onChange, mistakes, known, onSubmit }: Props) {
  const t = useText();
  const { dark } = useAppearance();
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const pending = useRef<ReturnType<typeof setTimeout>>(undefined); // a look at what was typed
  const said = useRef(value); // what the page was told last: it hears of what is typed when typing rests
  const telling = useRef<ReturnType<typeof setTimeout>>(undefined);
  const now = useRef({ value, onChange, known, onSubmit });
  now.current = { value, onChange, known, onSubmit };

  useEffect(() => {
    const tell = () => {
      clearTimeout(telling.current);
      const text = editor.state.doc.toString();
      if (text !== said.current) {
        said.current = text;
        now.current.onChange(text);
      }
    };
    const complete = (c: CompletionContext): CompletionResult | null =>
      completionsAt(c.state.doc.toString(), c.pos, c.explicit, now.current.known, t);
    const editor = new EditorView({
      parent: box.current as HTMLDivElement,
      state: EditorState.create({
        doc: said.current,
        extensions: [
          lineNumbers(), lintGutter(), history(), drawSelection(), highlightActiveLine(), indentOnInput(), bracketMatching(), closeBrackets(),
          yaml(), syntaxHighlighting(dark ? darkHighlight : defaultHighlightStyle), look(dark),
          autocompletion({ override: [complete], icons: false }),
          placeholder(t('jobs.yaml_placeholder')),
          EditorView.lineWrapping,
          EditorView.domEventHandlers({ blur: () => tell() }),
          EditorView.contentAttributes.of({ 'aria-label': t('jobs.yaml_label') }),
          keymap.of([
            { key: 'Mod-Enter', run: () => (tell(), setTimeout(() => now.current.onSubmit()), true) },
            ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap,
          ]),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) {
              clearTimeout(telling.current);
              telling.current = setTimeout(tell, 100);
              clearTimeout(pending.current);
              const { changes } = u;
              const edited = (from: number, to: number) => Boolean(changes.invertedDesc.touchesRange(from, to));
              pending.current = setTimeout(() => check(editor, edited), 300);
            }
          }),
        ],
      }),
    });
    view.current = editor;
    check(editor, () => true);
    return () => {
      tell();
      clearTimeout(pending.current);
      editor.destroy();
    };
  }, [dark, t]);

  useEffect(() => {
    const editor = view.current;
    if (editor && value !== said.current) {
      said.current = value;
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || mistakes.length === 0) {
      return;
    }
    clearTimeout(pending.current); // it would take them for what stood there before
    const placed = mistakes.filter((m) => m.line > 0).map((m) => placeOf(editor.state, m));
    editor.dispatch(setDiagnostics(editor.state, placed));
    if (placed[0]) {
      editor.dispatch({ effects: EditorView.scrollIntoView(placed[0].from, { y: 'center' }) });
    }
  }, [mistakes, dark, t]);

  return <div ref={box} className="yaml-editor" />;
}
