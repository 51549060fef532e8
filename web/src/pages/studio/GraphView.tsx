// A graph to look at: of a run with the states of its steps, or of two versions with what differs.
import { applyNodeChanges, Background, ReactFlow, ReactFlowProvider, type NodeChange, type NodeTypes } from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { Doc, Run } from '../../api/studio';
import { useAppearance } from '../../app/theme';
import { useText } from '../../i18n';
import { shownEdges, shownNodes, type Shown } from './editor/flow';
import { heightIn } from './editor/heights';
import { NoteNode, StepNode } from './editor/StepNode';
import { Editor, EditorProvider } from './editor/store';
import type { Modules } from './graph/document';
import { placed } from './graph/layout';

const TYPES: NodeTypes = { step: StepNode, note: NoteNode };
const NONE: ReadonlySet<string> = new Set();

interface Props {
  doc: Doc;
  modules: Modules;
  run?: Run | null;
  marks?: Record<string, string>; // class of a node: diff-added
  onStep?: (id: string) => void;
}

export default function GraphView({ doc, modules, run = null, marks, onStep }: Props) {
  const t = useText();
  const { dark } = useAppearance();
  const shown = useMemo(() => placed(doc, heightIn(modules)), [doc, modules]);
  const editor = useMemo(() => {
    const made = new Editor(shown, 0, modules);
    made.readOnly = true;
    return made;
  }, [shown, modules]);
  useEffect(() => editor.setRun(run), [editor, run]);
  const [nodes, setNodes] = useState<Shown[]>([]);
  useEffect(
    // What was measured stays: a node that is given anew without is not drawn until it is measured again.
    () => setNodes((old) => shownNodes(shown, old, NONE, true).map((n) => ({ ...n, className: marks ? `diff-${marks[n.id] ?? 'same'}` : undefined }))),
    [shown, marks],
  );
  const onNodesChange = useCallback((changes: NodeChange<Shown>[]) => setNodes((old) => applyNodeChanges(changes.filter((c) => c.type === 'dimensions'), old)), []);
  const edges = useMemo(() => shownEdges(shown, modules, [], ''), [shown, modules]);
  return (
    <EditorProvider value={editor}>
      <ReactFlowProvider>
        <div className="graph-view">
          {nodes.length > 0 && (
            <ReactFlow<Shown>
              nodes={nodes}
              edges={edges}
              onNodesChange={onNodesChange}
              nodeTypes={TYPES}
              nodesDraggable={false}
              nodesConnectable={false}
              edgesFocusable={false}
              deleteKeyCode={null}
              fitView
              fitViewOptions={{ padding: 0.1, maxZoom: 1 }}
              minZoom={0.1}
              preventScrolling={false}
              zoomOnScroll={false}
              colorMode={dark ? 'dark' : 'light'}
              onNodeClick={(_, n) => onStep?.(n.id)}
              aria-label={t('studio.graph')}
            >
              <Background gap={20} />
            </ReactFlow>
          )}
        </div>
      </ReactFlowProvider>
    </EditorProvider>
  );
}
