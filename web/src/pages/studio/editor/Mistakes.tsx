// What the check found, each with what mends it as a button.
import { CheckCircleOutlined, ToolOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import type { GraphMistake } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';
import { columnsInto } from '../graph/columns';
import { applyFix } from '../graph/connections';
import { useEditor, useEditorStore } from './store';

function Fix({ mistake }: { mistake: GraphMistake }) {
  const t = useText();
  const editor = useEditorStore();
  const say = useServerText();
  const { fix } = mistake;
  const mended = fix && !editor.readOnly ? applyFix(editor.doc, editor.modules, mistake, columnsInto(editor.doc, editor.checked, editor.modules.get(editor.doc.nodes[mistake.node ?? '']?.module ?? ''), mistake.node ?? '')) : null;
  if (!fix || !mended) {
    return null; // it needs a module that is not there, or the graph is another one already
  }
  const module = fix.insert && editor.modules.get(fix.insert.module);
  const text = fix.text ? say(fix.text) : fix.param ? t('studio.set_param', { name: fix.param.name, value: String(fix.param.value) }) : t('studio.put_between', { name: say(module?.title ?? fix.insert?.module ?? '') });
  return (
    <Button size="small" icon={<ToolOutlined />} onClick={() => editor.apply(mended)}>
      {text}
    </Button>
  );
}

export function Fixes({ mistakes }: { mistakes: GraphMistake[] }) {
  const say = useServerText();
  return mistakes.length === 0 ? null : (
    <ul className="plain fixes">
      {mistakes.map((m, i) => (
        <li key={`${i}${m.message}`}>
          <span className="bad">{say(m.message)}</span> <Fix mistake={m} />
        </li>
      ))}
    </ul>
  );
}

export function Mistakes({ show }: { show: (node: string) => void }) {
  const t = useText();
  const say = useServerText();
  const checked = useEditor((e) => e.checked);
  const checking = useEditor((e) => e.checking);
  if (!checked) {
    return (
      <p className="check-line secondary" role="status">
        {t(checking ? 'studio.checking' : 'studio.not_checked')}
      </p>
    );
  }
  if (checked.mistakes.length === 0) {
    return (
      <p className="check-line good" role="status">
        <CheckCircleOutlined aria-hidden /> {t(checking ? 'studio.checking' : 'studio.check_ok')}
      </p>
    );
  }
  return (
    <section className="mistakes" tabIndex={0} aria-label={t('studio.mistakes')}>
      <div role="status">
        <h2 className="mistakes-head">{t('studio.mistakes_n', { n: checked.mistakes.length })}</h2>
      </div>
      <ul className="plain">
        {checked.mistakes.map((m, i) => (
          <li key={`${i}${m.message}`}>
            {m.node && (
              <button type="button" className="link mono" onClick={() => show(m.node as string)}>
                {m.node}
                {m.param ? `.${m.param}` : m.port ? `.${m.port}` : ''}
              </button>
            )}{' '}
            {say(m.message)} <Fix mistake={m} />
          </li>
        ))}
      </ul>
    </section>
  );
}
