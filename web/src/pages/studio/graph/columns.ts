// What is known of the columns at a node, from the server's check; and selectors of columns (docs/formats/module-manifest.md).
import type { Checked, Column, Doc, Module, Shape } from '../../../api/studio';
import { refOf } from './document';

export const shapeAt = (checked: Checked | null, node: string, port: string): Shape | undefined => checked?.nodes[node]?.outputs?.[port];

/** The columns of the first table that goes into a node; null: nobody knows yet. */
export function columnsInto(doc: Doc, checked: Checked | null, module: Module | undefined, id: string): Column[] | null {
  for (const port of module?.inputs ?? []) {
    const ref = port.type === 'table' ? doc.nodes[id]?.inputs?.[port.name] : undefined;
    const shape = ref ? shapeAt(checked, ...refOf(ref)) : undefined;
    if (shape?.columns) {
      return shape.columns;
    }
  }
  if (module && !module.inputs.some((p) => p.type === 'table')) {
    const out = module.outputs.find((p) => p.type === 'table');
    return (out && shapeAt(checked, id, out.name)?.columns) ?? null; // a source: those of its file
  }
  return null;
}

export const GROUPS = ['@all', '@numeric', '@text'] as const;

export const words = (selector: string): string[] => selector.split(',').map((w) => w.trim()).filter(Boolean);
export const selector = (list: string[]): string => list.join(',');

export const isNumber = (c: Column) => c.type === 'real' || c.type === 'int';

/** How many columns a selector means, of those that are known. */
export function countOf(text: string, columns: Column[]): number {
  const taken = new Set<string>();
  for (const word of words(text)) {
    const group = word === '@all' ? columns : word === '@numeric' ? columns.filter(isNumber) : word === '@text' ? columns.filter((c) => c.type === 'text') : null;
    if (group) {
      group.forEach((c) => taken.add(c.name));
    } else if (word.startsWith('-') && !columns.some((c) => c.name === word)) {
      taken.delete(word.slice(1));
    } else if (columns.some((c) => c.name === word)) {
      taken.add(word);
    }
  }
  return taken.size;
}
