// The same pipeline without a canvas: its steps in the order in which they run, each with its form. For narrow screens, and
// for those who use neither mouse nor pointer.
import { PlusOutlined } from '@ant-design/icons';
import { Collapse, Empty, Flex, Select } from 'antd';
import { useServerText, useText } from '../../../i18n';
import { StepState } from '../parts/StateTag';
import { layersOf } from '../graph/layout';
import { DocForm } from './DocForm';
import { NodeForm } from './NodeForm';
import { addBehind, found, useCategory } from './Palette';
import { useEditor, useEditorStore } from './store';

function Label({ id }: { id: string }) {
  const node = useEditor((e) => e.doc.nodes[id]);
  const mistakes = useEditor((e) => e.mistakesOf(id));
  const run = useEditor((e) => e.runNode(id));
  const title = useEditor((e) => e.modules.get(node?.module ?? '')?.title);
  const t = useText();
  const say = useServerText();
  return (
    <Flex gap={8} align="center" wrap>
      <strong className="break">{node?.title ?? id}</strong>
      <span className="secondary small">{say(title ?? node?.module ?? '')}</span>
      {mistakes.length > 0 && <span className="bad small">{t('studio.mistakes_n', { n: mistakes.length })}</span>}
      {run && <StepState node={run} />}
    </Flex>
  );
}

export function ListView({ project, preview }: { project: string; preview: (node: string, port: string) => void }) {
  const t = useText();
  const say = useServerText();
  const categoryOf = useCategory();
  const editor = useEditorStore();
  const doc = useEditor((e) => e.doc);
  const selection = useEditor((e) => e.selection);
  const layers = layersOf(doc);
  const ids = Object.keys(doc.nodes).sort((a, b) => (layers.get(a) ?? 0) - (layers.get(b) ?? 0));
  return (
    <Flex vertical gap={12} className="studio-list">
      {!editor.readOnly && (
        <Select
          aria-label={t('studio.add_step')}
          placeholder={t('studio.add_step')}
          suffixIcon={<PlusOutlined />}
          value={null}
          showSearch={{ filterOption: (typed, o) => `${(o as { value?: string } | undefined)?.value ?? ''} ${o?.label ?? ''}`.toLowerCase().includes(typed.toLowerCase()) }}
          options={found(editor.modules.values(), '').map(([category, modules]) => ({
            label: categoryOf(category),
            options: modules.map((m) => ({ value: m.name, label: say(m.title ?? m.name) })),
          }))}
          onChange={(name: string | null) => {
            const module = editor.modules.get(name ?? '');
            if (module) {
              addBehind(editor, module);
            }
          }}
        />
      )}
      {ids.length === 0 ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('studio.no_steps')} />
      ) : (
        <Collapse
          destroyOnHidden
          activeKey={[...selection].filter((id) => Object.hasOwn(doc.nodes, id)).slice(0, 1)}
          onChange={(keys) => editor.select(keys.slice(-1))}
          items={ids.map((id) => ({ key: id, label: <Label id={id} />, children: <NodeForm id={id} project={project} preview={preview} /> }))}
        />
      )}
      <DocForm />
    </Flex>
  );
}
