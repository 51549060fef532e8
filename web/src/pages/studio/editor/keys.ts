// What keys do on the canvas, as everywhere else: Delete, Ctrl+Z, Ctrl+Shift+Z, Ctrl+C, Ctrl+X, Ctrl+V, Ctrl+A, Escape. Arrows move
// what is selected: the canvas does that itself.
import { useEffect } from 'react';
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

/** On the canvas, or nowhere: what had the focus may just have been removed. */
const isHere = (at: EventTarget | null) => at === document.body || (at as Element).id === 'content' || Boolean((at as Element).closest?.('.studio-canvas'));

function onKey(editor: Editor, e: KeyboardEvent) {
  if (isTyping(e.target) || e.altKey || !isHere(e.target)) {
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

export function useCanvasKeys(editor: Editor) {
  useEffect(() => {
    const listen = (e: KeyboardEvent) => onKey(editor, e);
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, [editor]);
}
