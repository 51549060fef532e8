// The graph, to be drawn with the mouse. While a node is dragged only the canvas knows, which keeps the nodes itself so that no event
// draws the page anew; the document hears of it at the end.
import {
  Background,
  MiniMap,
  ReactFlow,
  useReactFlow,
  useStore,
  type Connection,
  type Edge as FlowEdge,
  type EdgeChange,
  type FinalConnectionState,
  type NodeChange,
  type NodeTypes,
} from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent } from 'react';
import type { Doc } from '../../../api/studio';
import { useAppearance } from '../../../app/theme';
import { useText } from '../../../i18n';
import { addNode, changeComment, connect, edgeId, edgesOf, moveNodes, type Edge } from '../graph/document';
import { refusalOf } from '../graph/connections';
import { DRAGGED } from './dragged';
import { DraggedLines, linesOf } from './DraggedLines';
import { shownEdges, shownNodes, isStep, type Shown } from './flow';
import { FarContext, NoteNode, StepNode } from './StepNode';
import { useEditor, useEditorStore } from './store';

const TYPES: NodeTypes = { step: StepNode, note: NoteNode };
const MANY = 150;
const FAR = 0.35; // smaller, and no port can be hit
const NEAR_LINES = {};
const FAR_LINES = { interactionWidth: 0 }; // nobody hits one there: no second path that only listens
const MAP = { width: 110, height: 74 };
const SNAP: [number, number] = [10, 10];
const NOTHING: ReadonlySet<string> = new Set();
export const FIT = { padding: 0.08, maxZoom: 1 };

const edgeOf = (c: Connection | FlowEdge): Edge => ({ source: c.source, sourcePort: c.sourceHandle ?? '', target: c.target, targetPort: c.targetHandle ?? '' });

/** A connection may be drawn from either end. */
function drawn(s: FinalConnectionState): Edge | null {
  if (!s.fromHandle || !s.toHandle || s.fromHandle.type === s.toHandle.type) {
    return null;
  }
  const [from, to] = s.fromHandle.type === 'source' ? [s.fromHandle, s.toHandle] : [s.toHandle, s.fromHandle];
  return { source: from.nodeId, sourcePort: from.id ?? '', target: to.nodeId, targetPort: to.id ?? '' };
}

/** The document with these nodes where they were dropped. */
function movedIn(doc: Doc, moved: Shown[]): Doc {
  let now = doc;
  const places: Record<string, [number, number]> = {};
  for (const n of moved) {
    const at: [number, number] = [Math.round(n.position.x), Math.round(n.position.y)];
    const was = isStep(n) ? n.data.node.at : n.data.comment.at;
    if (was?.[0] === at[0] && was[1] === at[1]) {
      continue;
    }
    if (isStep(n)) {
      places[n.id] = at;
    } else {
      now = changeComment(now, n.data.index, { at });
    }
  }
  return Object.keys(places).length > 0 ? moveNodes(now, places) : now;
}

/** The texts that the canvas itself says to screen readers. */
function useLabels() {
  const t = useText();
  return useMemo(
    () => ({
      'node.a11yDescription.default': t('studio.a11y_node'),
      'node.a11yDescription.keyboardDisabled': t('studio.a11y_node'),
      'edge.a11yDescription.default': t('studio.a11y_edge'),
      'node.a11yDescription.ariaLiveMessage': () => t('studio.a11y_moved'),
      'minimap.ariaLabel': t('studio.minimap'),
    }),
    [t],
  );
}

export function Canvas() {
  const editor = useEditorStore();
  const t = useText();
  const { dark } = useAppearance();
  const flow = useReactFlow<Shown>();
  const isFar = useStore((s) => s.transform[2] < FAR);
  const doc = useEditor((e) => e.doc);
  const selection = useEditor((e) => e.selection);
  const chosen = useEditor((e) => (e.edge ? edgeId(e.edge) : ''));
  const modules = useEditor((e) => e.modules);
  const labels = useLabels();
  const [first] = useState<Shown[]>(() => shownNodes(doc, [], selection, editor.readOnly));
  const oldEdges = useRef<FlowEdge[]>([]);
  const edges = useMemo(() => (oldEdges.current = shownEdges(doc, modules, oldEdges.current, chosen)), [doc, modules, chosen]);
  const [dragged, setDragged] = useState(NOTHING);
  const { still, moving } = useMemo(() => linesOf(edges, dragged), [edges, dragged]);
  useEffect(() => {
    flow.setNodes((old) => shownNodes(doc, old, selection, editor.readOnly));
  }, [flow, doc, selection, editor.readOnly]);

  const onNodesChange = useCallback(
    (changes: NodeChange<Shown>[]) => {
      const ended = new Set(changes.flatMap((c) => (c.type === 'position' && !c.dragging ? [c.id] : [])));
      if (ended.size > 0) {
        editor.apply(movedIn(editor.doc, flow.getNodes().filter((n) => ended.has(n.id))), `move ${[...ended].join()}`);
      }
      if (changes.some((c) => c.type === 'select')) {
        const ids = flow.getNodes().filter((n) => n.selected).map((n) => n.id);
        editor.select(ids, ids.length > 0 ? null : editor.edge);
      }
    },
    [editor, flow],
  );
  const onEdgesChange = useCallback(
    (changes: EdgeChange[]) => {
      for (const c of changes) {
        if (c.type === 'select' && c.selected) {
          const found = edgesOf(editor.doc).find((e) => edgeId(e) === c.id);
          editor.select([], found ?? null);
        } else if (c.type === 'select' && editor.edge && edgeId(editor.edge) === c.id) {
          editor.select(editor.selection, null);
        }
      }
    },
    [editor],
  );
  const isValid = useCallback((c: Connection | FlowEdge) => refusalOf(editor.doc, editor.modules, edgeOf(c)) === null, [editor]);
  const onConnect = useCallback((c: Connection) => editor.apply(connect(editor.doc, edgeOf(c))), [editor]);
  const onConnectEnd = useCallback(
    (_: unknown, state: FinalConnectionState) => {
      const edge = state.isValid ? null : drawn(state);
      if (edge) {
        editor.refuse(edge);
      }
    },
    [editor],
  );
  const onDrop = (e: DragEvent) => {
    const name = e.dataTransfer.getData(DRAGGED);
    if (name && editor.modules.has(name)) {
      e.preventDefault();
      const { x, y } = flow.screenToFlowPosition({ x: e.clientX, y: e.clientY });
      const [next, id] = addNode(editor.doc, name, [Math.round((x - 100) / 10) * 10, Math.round((y - 30) / 10) * 10]);
      editor.apply(next);
      editor.select([id]);
    }
  };
  const onDragStart = useCallback((_: unknown, _node: unknown, nodes: Shown[]) => setDragged(new Set(nodes.map((n) => n.id))), []);
  const onDragStop = useCallback(() => setDragged(NOTHING), []);
  const forget = useCallback(() => editor.forgetRefusal(), [editor]);
  return (
    <FarContext.Provider value={isFar}>
      <ReactFlow<Shown>
        defaultNodes={first}
        edges={still}
        defaultEdgeOptions={isFar ? FAR_LINES : NEAR_LINES}
        nodeTypes={TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onConnect={onConnect}
        onConnectEnd={onConnectEnd}
        isValidConnection={isValid}
        onNodeDragStart={onDragStart}
        onNodeDragStop={onDragStop}
        onDrop={onDrop}
        onDragOver={(e) => e.preventDefault()}
        onPaneClick={forget}
        nodesConnectable={!editor.readOnly}
        nodesDraggable={!editor.readOnly}
        deleteKeyCode={null}
        snapToGrid
        snapGrid={SNAP}
        fitView
        fitViewOptions={FIT}
        minZoom={0.1}
        maxZoom={2}
        onlyRenderVisibleElements={Object.keys(doc.nodes).length > MANY}
        elevateNodesOnSelect={false}
        attributionPosition="bottom-left"
        colorMode={dark ? 'dark' : 'light'}
        ariaLabelConfig={labels}
        aria-label={t('studio.canvas')}
      >
        {moving.length > 0 && <DraggedLines edges={moving} />}
        <Background gap={20} />
        <MiniMap pannable zoomable style={MAP} className="wide-only" nodeClassName={(n) => (n.type === 'note' ? 'mini-note' : 'mini-step')} />
      </ReactFlow>
    </FarContext.Provider>
  );
}
