// What can be done on the canvas, as buttons: all of it has keys as well.
import { ApartmentOutlined, CommentOutlined, CopyOutlined, DeleteOutlined, ExpandOutlined, MenuFoldOutlined, MenuUnfoldOutlined, RedoOutlined, SnippetsOutlined, UndoOutlined, ZoomInOutlined, ZoomOutOutlined } from '@ant-design/icons';
import { useReactFlow } from '@xyflow/react';
import { Button, Space, Tooltip } from 'antd';
import type { ReactNode } from 'react';
import { useText } from '../../../i18n';
import { moveNodes } from '../graph/document';
import { layout } from '../graph/layout';
import { FIT } from './Canvas';
import { heightIn } from './heights';
import { noteId, useEditor, useEditorStore } from './store';

function Tool({ label, icon, run, disabled = false }: { label: string; icon: ReactNode; run: () => void; disabled?: boolean }) {
  return (
    <Tooltip title={label}>
      <Button size="small" type="text" icon={icon} aria-label={label} disabled={disabled} onClick={run} />
    </Tooltip>
  );
}

interface Props {
  hasPalette: boolean;
  setPalette: (is: boolean) => void;
}

export function Toolbar({ hasPalette, setPalette }: Props) {
  const t = useText();
  const editor = useEditorStore();
  const flow = useReactFlow();
  const canUndo = useEditor((e) => e.canUndo);
  const canRedo = useEditor((e) => e.canRedo);
  const hasSelection = useEditor((e) => e.selection.size > 0 || e.edge !== null);
  const arrange = () => {
    editor.apply(moveNodes(editor.doc, layout(editor.doc, heightIn(editor.modules))));
    setTimeout(() => void flow.fitView(FIT), 50);
  };
  const togglePalette = () => {
    setPalette(!hasPalette);
    setTimeout(() => void flow.fitView(FIT), 50);
  };
  const comment = () => {
    const box = document.querySelector('.studio-canvas')?.getBoundingClientRect();
    const { x, y } = flow.screenToFlowPosition({ x: (box?.left ?? 0) + 60, y: (box?.top ?? 0) + 60 });
    const comments = [...(editor.doc.comments ?? []), { text: '', at: [Math.round(x), Math.round(y)] as [number, number], size: [220, 90] as [number, number] }];
    editor.apply({ ...editor.doc, comments });
    editor.select([noteId(comments.length - 1)]);
  };
  return (
    <Space className="toolbar" size={2} wrap role="toolbar" aria-label={t('studio.tools')}>
      {!editor.readOnly && (
        <>
          <Tool label={t(hasPalette ? 'studio.hide_palette' : 'studio.show_palette')} icon={hasPalette ? <MenuFoldOutlined /> : <MenuUnfoldOutlined />} run={togglePalette} />
          <Tool label={t('studio.undo')} icon={<UndoOutlined />} disabled={!canUndo} run={() => editor.undo()} />
          <Tool label={t('studio.redo')} icon={<RedoOutlined />} disabled={!canRedo} run={() => editor.redo()} />
          <Tool label={t('studio.copy')} icon={<CopyOutlined />} disabled={!hasSelection} run={() => editor.copy()} />
          <Tool label={t('studio.paste')} icon={<SnippetsOutlined />} run={() => editor.paste()} />
          <Tool label={t('studio.remove')} icon={<DeleteOutlined />} disabled={!hasSelection} run={() => editor.remove()} />
          <Tool label={t('studio.add_comment')} icon={<CommentOutlined />} run={comment} />
          <Tool label={t('studio.arrange')} icon={<ApartmentOutlined />} run={arrange} />
        </>
      )}
      <Tool label={t('studio.zoom_in')} icon={<ZoomInOutlined />} run={() => void flow.zoomIn()} />
      <Tool label={t('studio.zoom_out')} icon={<ZoomOutOutlined />} run={() => void flow.zoomOut()} />
      <Tool label={t('studio.fit')} icon={<ExpandOutlined />} run={() => void flow.fitView(FIT)} />
    </Space>
  );
}
