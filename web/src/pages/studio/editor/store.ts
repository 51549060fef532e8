// What the editor holds, outside of React: a graph has hundreds of nodes, and each is drawn anew only when something of it changes.
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Checked, Doc, GraphMistake, Run, RunNode } from '../../../api/studio';
import { OWN } from '../../../components/work';
import { copyOf, paste, removeComments, removeNodes, type Edge, type Modules } from '../graph/document';
import { refusalOf, type Refusal } from '../graph/connections';
import { historyOf, push, redo, undo, type History } from '../graph/history';

const NONE: GraphMistake[] = [];
const COPIED = `${OWN}copied`; // in this browser, so that it can be pasted into another pipeline

export const noteId = (index: number) => `#${index}`;
const isNote = (id: string) => id.startsWith('#');

export class Editor {
  selection: ReadonlySet<string> = new Set();
  edge: Edge | null = null; // the connection that is selected
  checked: Checked | null = null;
  checking = false;
  run: Run | null = null;
  refused: { edge: Edge; refusal: Refusal } | null = null;
  saved: Doc;
  version: number;
  readOnly = false;
  private history: History<Doc>;
  private mistakes = new Map<string, GraphMistake[]>();
  private listeners = new Set<() => void>();

  constructor(
    doc: Doc,
    version: number,
    public modules: Modules,
  ) {
    this.saved = doc;
    this.version = version;
    this.history = historyOf(doc);
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  private tell() {
    this.listeners.forEach((l) => l());
  }

  get doc(): Doc {
    return this.history.now;
  }

  get canUndo() {
    return this.history.past.length > 0;
  }

  get canRedo() {
    return this.history.future.length > 0;
  }

  get isChanged() {
    return this.doc !== this.saved;
  }

  /** `tag`: see history.ts. */
  apply(doc: Doc, tag = '') {
    if (this.readOnly || doc === this.doc) {
      return;
    }
    this.history = push(this.history, doc, tag);
    this.refused = null;
    this.tell();
  }

  undo() {
    this.history = undo(this.history);
    this.tell();
  }

  redo() {
    this.history = redo(this.history);
    this.tell();
  }

  select(ids: Iterable<string>, edge: Edge | null = null) {
    const next = new Set(ids);
    const isSame = next.size === this.selection.size && [...next].every((id) => this.selection.has(id)) && edge?.target === this.edge?.target && edge?.targetPort === this.edge?.targetPort;
    if (!isSame) {
      this.selection = next;
      this.edge = edge;
      this.tell();
    }
  }

  selectAll() {
    this.select([...Object.keys(this.doc.nodes), ...(this.doc.comments ?? []).map((_, i) => noteId(i))]);
  }

  /** The nodes, without comments. */
  get selectedNodes(): Set<string> {
    return new Set([...this.selection].filter((id) => !isNote(id)));
  }

  remove() {
    const notes = new Set([...this.selection].filter(isNote).map((id) => Number(id.slice(1))));
    let doc = this.doc;
    if (this.selection.size > 0) {
      doc = removeNodes(notes.size > 0 ? removeComments(doc, notes) : doc, this.selectedNodes);
    }
    if (this.edge) {
      const { target, targetPort } = this.edge;
      const node = doc.nodes[target];
      if (node?.inputs) {
        const { [targetPort]: _gone, ...inputs } = node.inputs;
        doc = { ...doc, nodes: { ...doc.nodes, [target]: { ...node, inputs } } };
      }
    }
    this.apply(doc);
    this.select([]);
  }

  copy() {
    const nodes = copyOf(this.doc, this.selectedNodes);
    if (Object.keys(nodes).length > 0) {
      localStorage.setItem(COPIED, JSON.stringify(nodes));
    }
  }

  /** What was copied last, here or in another tab. */
  paste() {
    try {
      const copied = JSON.parse(localStorage.getItem(COPIED) ?? '{}') as Doc['nodes'];
      const [doc, ids] = paste(this.doc, copied, [40, 40]);
      if (ids.length > 0) {
        this.apply(doc);
        this.select(ids);
      }
    } catch {
      localStorage.removeItem(COPIED);
    }
  }

  /** null: it can be connected. Else it is kept for the page to show, with what would mend it. */
  refuse(edge: Edge): Refusal | null {
    const refusal = refusalOf(this.doc, this.modules, edge);
    this.refused = refusal && { edge, refusal };
    this.tell();
    return refusal;
  }

  forgetRefusal() {
    this.refused = null;
    this.tell();
  }

  setChecked(checked: Checked | null) {
    this.checked = checked;
    this.checking = false;
    this.mistakes = new Map();
    for (const m of checked?.mistakes ?? []) {
      const of = m.node ?? '';
      this.mistakes.set(of, [...(this.mistakes.get(of) ?? []), m]);
    }
    this.tell();
  }

  setChecking() {
    this.checking = true;
    this.tell();
  }

  mistakesOf(node: string): GraphMistake[] {
    return this.mistakes.get(node) ?? NONE;
  }

  setRun(run: Run | null) {
    this.run = run;
    this.tell();
  }

  runNode(id: string): RunNode | undefined {
    return this.run?.nodes?.[id];
  }

  setSaved(doc: Doc, version: number) {
    this.saved = doc;
    this.version = version;
    this.tell();
  }
}

const Context = createContext<Editor | null>(null);
export const EditorProvider = Context.Provider;

export function useEditorStore(): Editor {
  const editor = useContext(Context);
  if (!editor) {
    throw new Error('useEditorStore outside of EditorProvider');
  }
  return editor;
}

/** What `read` gives must be the same object while nothing of it changes. */
export function useEditorOf<T>(editor: Editor, read: (editor: Editor) => T): T {
  return useSyncExternalStore(editor.subscribe, () => read(editor));
}

export const useEditor = <T>(read: (editor: Editor) => T): T => useEditorOf(useEditorStore(), read);
