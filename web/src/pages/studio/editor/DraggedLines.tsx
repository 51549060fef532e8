// The lines of the steps that are dragged, where they are many: one path for all of a colour, drawn once before the browser paints. As
// edges of the canvas each of them would be a component that every event makes anew.
import { getBezierPath, useStoreApi, ViewportPortal, type Edge as FlowEdge, type InternalNode } from '@xyflow/react';
import { useLayoutEffect, useMemo, useRef } from 'react';

const MANY_LINES = 40;

export interface Lines {
  still: FlowEdge[];
  moving: FlowEdge[];
}

/** Few lines stay edges of the canvas. */
export function linesOf(edges: FlowEdge[], dragged: ReadonlySet<string>): Lines {
  const isMoving = (e: FlowEdge) => dragged.has(e.source) || dragged.has(e.target);
  const moving = dragged.size > 0 ? edges.filter(isMoving) : [];
  return moving.length > MANY_LINES ? { still: edges.filter((e) => !isMoving(e)), moving } : { still: edges, moving: [] };
}

/** Where a line ends at a step: in the middle of the outer side of its port, as the canvas has it. */
function endAt(node: InternalNode | undefined, type: 'source' | 'target', port: string | null | undefined) {
  const handle = node?.internals.handleBounds?.[type]?.find((h) => h.id === port);
  if (!node || !handle) {
    return null; // not drawn: it is out of sight
  }
  const { x, y } = node.internals.positionAbsolute;
  return { x: x + handle.x + (type === 'source' ? handle.width : 0), y: y + handle.y + handle.height / 2, position: handle.position };
}

function pathOf(edges: FlowEdge[], nodes: ReadonlyMap<string, InternalNode>): string {
  return edges
    .map((e) => {
      const from = endAt(nodes.get(e.source), 'source', e.sourceHandle);
      const to = endAt(nodes.get(e.target), 'target', e.targetHandle);
      return from && to ? getBezierPath({ sourceX: from.x, sourceY: from.y, sourcePosition: from.position, targetX: to.x, targetY: to.y, targetPosition: to.position })[0] : '';
    })
    .join('');
}

function byColour(edges: FlowEdge[]): [string, FlowEdge[]][] {
  const found = new Map<string, FlowEdge[]>();
  for (const e of edges) {
    const colour = e.className ?? '';
    found.set(colour, [...(found.get(colour) ?? []), e]);
  }
  return [...found];
}

export function DraggedLines({ edges }: { edges: FlowEdge[] }) {
  const store = useStoreApi();
  const paths = useRef(new Map<string, SVGPathElement | null>());
  const colours = useMemo(() => byColour(edges), [edges]);
  useLayoutEffect(() => {
    let frame = 0;
    const draw = () => {
      frame = 0;
      const { nodeLookup } = store.getState();
      colours.forEach(([colour, of]) => paths.current.get(colour)?.setAttribute('d', pathOf(of, nodeLookup)));
    };
    draw();
    const stop = store.subscribe(() => {
      frame ||= requestAnimationFrame(draw);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [store, colours]);
  return (
    <ViewportPortal>
      <svg className="dragged-lines" aria-hidden>
        {colours.map(([colour]) => (
          <g key={colour} className={colour}>
            <path ref={(p) => void paths.current.set(colour, p)} className="react-flow__edge-path" />
          </g>
        ))}
      </svg>
    </ViewportPortal>
  );
}
