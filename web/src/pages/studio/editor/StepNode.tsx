// A step on the canvas: its name and module, typed ports, how its last run went, what is wrong with it.
import { CommentOutlined, ExclamationCircleFilled } from '@ant-design/icons';
import { Handle, NodeResizer, Position, type NodeProps } from '@xyflow/react';
import { createContext, memo, useContext } from 'react';
import type { Port } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';
import { StepState } from '../parts/StateTag';
import { changeComment } from '../graph/document';
import type { Note, Step } from './flow';
import { useEditor, useEditorStore } from './store';

/** Whether one is so far away that ports only show where lines end. Those that can be drawn from listen to all that moves. */
export const FarContext = createContext(false);

function PortHandle({ port, side }: { port: Port; side: 'in' | 'out' }) {
  const isFar = useContext(FarContext);
  const [type, position] = side === 'in' ? (['target', Position.Left] as const) : (['source', Position.Right] as const);
  const className = `handle handle-${port.type}`;
  return isFar ? (
    <div data-handleid={port.name} data-handlepos={position} className={`react-flow__handle react-flow__handle-${position} ${type} ${className}`} />
  ) : (
    <Handle id={port.name} type={type} position={position} className={className} />
  );
}

function PortRow({ port, side }: { port: Port; side: 'in' | 'out' }) {
  const t = useText();
  const say = useServerText();
  const title = `${port.name}: ${t(`studio.type_${port.type}`)}${port.help ? ` – ${say(port.help)}` : ''}`;
  return (
    <div className={`port port-${side}`} title={title}>
      <PortHandle port={port} side={side} />
      <span className="ellipsis">{port.name}</span>
      {side === 'in' && port.optional && <span className="secondary">?</span>}
    </div>
  );
}

export const StepNode = memo(function StepNode({ id, data, selected }: NodeProps<Step>) {
  const t = useText();
  const say = useServerText();
  const module = useEditor((e) => e.modules.get(data.node.module));
  const mistakes = useEditor((e) => e.mistakesOf(id));
  const run = useEditor((e) => e.runNode(id));
  const inputs = module?.inputs ?? Object.keys(data.node.inputs ?? {}).map((name): Port => ({ name, type: 'table', optional: false, help: '' }));
  const done = run?.state === 'running' && typeof run.done === 'number' ? run.done : null;
  return (
    <div className={`step ${selected ? 'step-selected' : ''} ${mistakes.length > 0 ? 'step-wrong' : ''} ${run ? `step-${run.state}` : ''}`}>
      <div className="step-head">
        <span className="step-title ellipsis">{data.node.title ?? id}</span>
        {mistakes.length > 0 && (
          <span className="step-mistakes" title={mistakes.map((m) => say(m.message)).join('\n')}>
            <ExclamationCircleFilled aria-hidden /> <span className="sr-only">{t('studio.mistakes')}</span> {mistakes.length}
          </span>
        )}
      </div>
      <div className="step-module ellipsis">{say(module?.title ?? data.node.module)}</div>
      <div className="step-ports">
        <div className="step-inputs">
          {inputs.map((p) => (
            <PortRow key={p.name} port={p} side="in" />
          ))}
        </div>
        <div className="step-outputs">
          {(module?.outputs ?? []).map((p) => (
            <PortRow key={p.name} port={p} side="out" />
          ))}
        </div>
      </div>
      {run && (
        <div className="step-run">
          <StepState node={run} />
          {run.text && run.state === 'running' && <span className="ellipsis small">{say(run.text)}</span>}
        </div>
      )}
      {done !== null && <div className="step-done" style={{ width: `${Math.round(done * 100)}%` }} />}
    </div>
  );
});

export const NoteNode = memo(function NoteNode({ data, selected }: NodeProps<Note>) {
  const t = useText();
  const editor = useEditorStore();
  const { comment, index } = data;
  return (
    <div className={`note ${selected ? 'note-selected' : ''}`}>
      <NodeResizer
        isVisible={selected && !editor.readOnly}
        minWidth={120}
        minHeight={50}
        onResizeEnd={(_, p) => editor.apply(changeComment(editor.doc, index, { at: [Math.round(p.x), Math.round(p.y)], size: [Math.round(p.width), Math.round(p.height)] }))}
      />
      <CommentOutlined aria-hidden className="secondary" />
      {selected && !editor.readOnly ? (
        <textarea
          className="note-text nodrag nowheel"
          aria-label={t('studio.comment')}
          value={comment.text}
          onChange={(e) => editor.apply(changeComment(editor.doc, index, { text: e.target.value }), `note ${index}`)}
        />
      ) : (
        <span className="note-text">{comment.text || t('studio.comment')}</span>
      )}
    </div>
  );
});
