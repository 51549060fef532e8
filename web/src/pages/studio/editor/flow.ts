// The document as nodes and edges of the canvas. What did not change is the same object as before: it is not drawn again.
import type { Edge as FlowEdge, Node as FlowNode } from '@xyflow/react';
import type { Doc, DocComment, DocNode, PortType } from '../../../api/studio';
import { outputOf } from '../graph/connections';
import { edgeId, edgesOf, type Modules } from '../graph/document';
import { noteId } from './store';

export type StepData = { node: DocNode };
export type NoteData = { comment: DocComment; index: number };
export type Step = FlowNode<StepData, 'step'>;
export type Note = FlowNode<NoteData, 'note'>;
export type Shown = Step | Note;

export const isStep = (n: Shown): n is Step => n.type === 'step';

const position = (at: [number, number] | undefined) => ({ x: at?.[0] ?? 0, y: at?.[1] ?? 0 });

export function shownNodes(doc: Doc, old: Shown[], selection: ReadonlySet<string>, readOnly: boolean): Shown[] {
  const before = new Map(old.map((n) => [n.id, n]));
  const steps = Object.entries(doc.nodes).map(([id, node]): Shown => {
    const was = before.get(id);
    const selected = selection.has(id);
    if (was && isStep(was) && was.data.node === node && Boolean(was.selected) === selected) {
      return was;
    }
    return { ...(was as Step | undefined), id, type: 'step', data: { node }, position: position(node.at), selected, draggable: !readOnly, ariaLabel: `${node.title ?? id} (${node.module})` };
  });
  const notes = (doc.comments ?? []).map((comment, index): Shown => {
    const id = noteId(index);
    const was = before.get(id);
    const selected = selection.has(id);
    if (was && !isStep(was) && was.data.comment === comment && Boolean(was.selected) === selected) {
      return was;
    }
    const [width, height] = comment.size ?? [220, 90];
    return { ...(was as Note | undefined), id, type: 'note', data: { comment, index }, position: position(comment.at), width, height, selected, draggable: !readOnly, zIndex: -1, ariaLabel: comment.text };
  });
  return [...notes, ...steps];
}

export function shownEdges(doc: Doc, modules: Modules, old: FlowEdge[], selected: string): FlowEdge[] {
  const before = new Map(old.map((e) => [e.id, e]));
  return edgesOf(doc).map((e) => {
    const id = edgeId(e);
    const type: PortType | 'unknown' = outputOf(doc, modules, e.source, e.sourcePort)?.type ?? 'unknown';
    const className = `edge-${type}`;
    const was = before.get(id);
    return was && was.className === className && Boolean(was.selected) === (id === selected)
      ? was
      : { id, source: e.source, sourceHandle: e.sourcePort, target: e.target, targetHandle: e.targetPort, className, selected: id === selected, ariaLabel: `${e.source} → ${e.target}` };
  });
}
