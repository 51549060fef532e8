// The modules there are, by what they are for: dragged onto the canvas, or put there by a click.
import { SearchOutlined } from '@ant-design/icons';
import { Input } from 'antd';
import { useMemo, useState } from 'react';
import type { Module } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';
import { addNode, connect, freePlace } from '../graph/document';
import { NODE_WIDTH } from '../graph/layout';
import { DRAGGED } from './dragged';
import { useEditorStore, type Editor } from './store';

const ORDER = ['data', 'transform', 'text', 'classification', 'regression', 'clustering', 'anomaly', 'recommendation', 'rules', 'forecast', 'scoring', 'evaluation', 'other'] as const;

const HIDDEN = 'strata.studio.palette-hidden';

/** Whether the palette is there: without it there is more room for the graph. Kept for the next time. */
export function usePalette(): [boolean, (is: boolean) => void] {
  const [has, setHas] = useState(() => localStorage.getItem(HIDDEN) === null);
  const set = (is: boolean) => {
    if (is) {
      localStorage.removeItem(HIDDEN);
    } else {
      localStorage.setItem(HIDDEN, '1');
    }
    setHas(is);
  };
  return [has, set];
}

export function useCategory(): (category: string) => string {
  const t = useText();
  return (category) => {
    const known = ORDER.find((c) => c === category);
    return known ? t(`studio.category_${known}`) : category;
  };
}

/** All words, in whatever a module says of itself. */
export function found(modules: Iterable<Module>, typed: string, say = (text: string) => text): [string, Module[]][] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, Module[]>();
  for (const m of modules) {
    const text = `${m.name} ${m.title ?? ''} ${say(m.title ?? '')} ${m.description ?? ''} ${say(m.description ?? '')} ${m.category ?? ''}`.toLowerCase();
    if (words.every((w) => text.includes(w))) {
      const category = m.category ?? 'other';
      groups.set(category, [...(groups.get(category) ?? []), m]);
    }
  }
  const rank = (c: string) => (ORDER.findIndex((o) => o === c) + ORDER.length + 1) % (ORDER.length + 1);
  return [...groups].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Behind what is selected and connected to it where that is clear, else below everything. */
export function addBehind(editor: Editor, module: Module) {
  const { doc, modules } = editor;
  const [only, ...others] = [...editor.selectedNodes];
  const from = others.length === 0 && only ? doc.nodes[only] : undefined;
  const bottom = Math.max(0, ...Object.values(doc.nodes).map((n) => (n.at?.[1] ?? 0) + 130));
  const at = freePlace(doc, from?.at ? [from.at[0] + NODE_WIDTH + 60, from.at[1]] : [0, Object.keys(doc.nodes).length > 0 ? bottom : 0]);
  let [next, id] = addNode(doc, module.name, at);
  if (from && only) {
    const outputs = modules.get(from.module)?.outputs ?? [];
    const taken = new Set<string>();
    for (const out of outputs) {
      const into = module.inputs.find((p) => p.type === out.type && !taken.has(p.name));
      if (into) {
        taken.add(into.name);
        next = connect(next, { source: only, sourcePort: out.name, target: id, targetPort: into.name });
      }
    }
  }
  editor.apply(next);
  editor.select([id]);
}

export function Palette() {
  const t = useText();
  const say = useServerText();
  const categoryOf = useCategory();
  const editor = useEditorStore();
  const [typed, setTyped] = useState('');
  const groups = useMemo(() => found(editor.modules.values(), typed, say), [editor, typed, say]);
  return (
    <section className="palette" aria-label={t('studio.palette')}>
      <Input
        allowClear
        prefix={<SearchOutlined aria-hidden />}
        value={typed}
        placeholder={t('studio.find_module')}
        aria-label={t('studio.find_module')}
        onChange={(e) => setTyped(e.target.value)}
      />
      <div className="palette-list" tabIndex={0} role="region" aria-label={t('studio.modules')}>
        {groups.length === 0 && <p className="secondary">{t('studio.no_module')}</p>}
        {groups.map(([category, modules]) => (
          <div key={category}>
            <h2 className="palette-group">{categoryOf(category)}</h2>
            {modules.map((m) => (
              <button
                type="button"
                key={m.name}
                className="palette-item"
                draggable
                title={say(m.description ?? '')}
                onDragStart={(e) => {
                  e.dataTransfer.setData(DRAGGED, m.name);
                  e.dataTransfer.effectAllowed = 'copy';
                }}
                onClick={() => addBehind(editor, m)}
              >
                <span>{say(m.title ?? m.name)}</span>
                <span className="secondary small ellipsis">{say(m.description ?? '')}</span>
              </button>
            ))}
          </div>
        ))}
      </div>
    </section>
  );
}
