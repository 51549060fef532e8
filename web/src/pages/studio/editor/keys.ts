// What keys do on the canvas, as everywhere else: Delete, Ctrl+Z, Ctrl+Shift+Z, Ctrl+C, Ctrl+X, Ctrl+V, Ctrl+A, Escape. Arrows move
// what is selected: the canvas does that itself.
import type { KeyboardEvent } from 'react';
import { isTyping } from '../../../app/keys';
import type { Editor } from './store';

function withControl(editor: Editor, key: string, shift: boolean): boolean {
  switch (key) {
    case 'z':
      if (shift) {
        editor.redo();
      } else {
        editor.undo();
      }
      return true;
    case 'y':
      editor.redo();
      return true;
    case 'c':
      editor.copy();
      return true;
    case 'x':
      editor.copy();
      editor.remove();
      return true;
    case 'v':
      editor.paste();
      return true;
    case 'a':
      editor.selectAll();
      return true;
    default:
      return false;
  }
}

export function onCanvasKey(editor: Editor, e: KeyboardEvent) {
  if (isTyping(e.target) || e.altKey) {
    return;
  }
  if (e.ctrlKey || e.metaKey) {
    if (withControl(editor, e.key.toLowerCase(), e.shiftKey)) {
      e.preventDefault();
    }
  } else if (e.key === 'Delete' || e.key === 'Backspace') {
    editor.remove();
    e.preventDefault();
  } else if (e.key === 'Escape') {
    editor.select([]);
    editor.forgetRefusal();
  }
}
