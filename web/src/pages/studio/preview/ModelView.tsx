// A model or a fitted transform: what it is, what counts in it, its tree where it is one.
import { Descriptions } from 'antd';
import { useText } from '../../../i18n';
import { useCategory } from '../editor/Palette';
import { useMeasure } from '../parts/Measure';
import { Shares } from './Charts';
import { figure, type ModelPreview, type Tree } from './types';

const DEEPEST = 12;

/** What a leaf says: a number, or of the shares of classes the largest. */
function leaf(value: unknown, classes: ModelPreview['classes']): string {
  if (!Array.isArray(value) || value.length !== classes?.length) {
    return figure(value);
  }
  const shares = value.map(Number);
  const most = shares.indexOf(Math.max(...shares));
  return `${classes[most] ?? ''} (${Math.round(100 * (shares[most] ?? 0))} %)`;
}

interface TreeProps {
  node: Tree;
  classes: ModelPreview['classes'];
  when: string;
  depth: number;
}

function TreeNode({ node, classes, when, depth }: TreeProps) {
  const t = useText();
  const said = (
    <>
      {when && <span className="secondary">{when} </span>}
      {node.feature ? <strong>{node.feature}</strong> : <span className="leaf">{leaf(node.value, classes)}</span>}
      {node.n !== undefined && <span className="secondary small"> · {t('studio.n_rows', { n: figure(node.n) })}</span>}
    </>
  );
  if (!node.left || !node.right || depth >= DEEPEST) {
    return <li>{said}</li>;
  }
  const [yes, no] = node.categories ? [`∈ {${node.categories.slice(0, 8).join(', ')}}`, '∉'] : [`≤ ${figure(node.threshold)}`, `> ${figure(node.threshold)}`];
  return (
    <li>
      <details open={depth < 3}>
        <summary>{said}</summary>
        <ul>
          <TreeNode node={node.left} classes={classes} when={yes} depth={depth + 1} />
          <TreeNode node={node.right} classes={classes} when={no} depth={depth + 1} />
        </ul>
      </details>
    </li>
  );
}

export function ModelView({ model }: { model: ModelPreview }) {
  const t = useText();
  const nameOf = useMeasure();
  const categoryOf = useCategory();
  const facts: [string, unknown][] = [
    [t('studio.model_kind'), model.kind],
    [t('studio.task'), model.task && categoryOf(model.task)],
    [t('studio.label_column'), model.label],
    [t('studio.classes'), model.classes?.join(', ')],
    [t('studio.features'), model.features && `${model.features.length}: ${model.features.slice(0, 30).join(', ')}${model.features.length > 30 ? ' …' : ''}`],
    ...Object.entries(model.figures ?? {}).map(([code, v]): [string, unknown] => [nameOf(code), v]),
  ];
  return (
    <div className="model-view">
      <Descriptions size="small" column={1} bordered items={facts.filter(([, v]) => v !== undefined && v !== '').map(([name, v]) => ({ key: name, label: name, children: <span className="break">{figure(v)}</span> }))} />
      {model.importance && model.importance.length > 0 && (
        <figure className="chart">
          <figcaption>{t('studio.chart_importance')}</figcaption>
          <Shares label={t('studio.chart_importance')} rows={model.importance.slice(0, 50)} />
        </figure>
      )}
      {model.tree && (
        <figure className="chart">
          <figcaption>{t('studio.tree')}</figcaption>
          <ul className="tree">
            <TreeNode node={model.tree} classes={model.classes} when="" depth={0} />
          </ul>
        </figure>
      )}
    </div>
  );
}
