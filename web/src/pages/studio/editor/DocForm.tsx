// What is set of the whole pipeline: its description, the volume of its outputs, run-time parameters.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Select } from 'antd';
import type { DocParam } from '../../../api/studio';
import { useText } from '../../../i18n';
import { useEditor, useEditorStore } from './store';
import { numberOf } from './ParamField';

const TYPES = ['int', 'real', 'bool', 'text'];

function ParamRow({ param, change, remove }: { param: DocParam; change: (p: DocParam) => void; remove: () => void }) {
  const t = useText();
  const isNumber = param.type === 'int' || param.type === 'real';
  return (
    <div className="doc-param">
      <Input className="mono" aria-label={t('studio.param_name')} placeholder={t('studio.param_name')} value={param.name} onChange={(e) => change({ ...param, name: e.target.value.replace(/[^A-Za-z0-9_]/g, '_') })} />
      <Select aria-label={t('data.type')} value={param.type} options={TYPES.map((v) => ({ value: v, label: v }))} onChange={(type) => change({ ...param, type })} />
      <Input
        aria-label={t('studio.param_default')}
        placeholder={t('studio.param_default')}
        value={param.default === undefined ? '' : String(param.default)}
        onChange={(e) => change({ ...param, default: isNumber ? numberOf(e.target.value) : e.target.value || undefined })}
      />
      <Button type="text" icon={<DeleteOutlined />} aria-label={t('studio.remove_param', { name: param.name })} onClick={remove} />
    </div>
  );
}

export function DocForm() {
  const t = useText();
  const editor = useEditorStore();
  const doc = useEditor((e) => e.doc);
  const params = doc.params ?? [];
  const setParams = (next: DocParam[], tag = '') => {
    const { params: _old, ...rest } = editor.doc;
    editor.apply(next.length > 0 ? { ...rest, params: next } : rest, tag);
  };
  return (
    <Form layout="vertical" component="div" className="node-form" disabled={editor.readOnly}>
      <h2 className="panel-head">{t('studio.pipeline')}</h2>
      <p className="secondary small">{t('studio.choose_step')}</p>
      <Form.Item label={t('project.description')} htmlFor="studio-description">
        <Input.TextArea id="studio-description" autoSize={{ minRows: 2, maxRows: 8 }} value={doc.description ?? ''} onChange={(e) => editor.apply({ ...editor.doc, description: e.target.value || undefined }, 'description')} />
      </Form.Item>
      <Form.Item label={t('studio.output_volume')} htmlFor="studio-volume" extra={<span className="small">{t('studio.output_volume_hint')}</span>}>
        <Input id="studio-volume" value={doc.volume ?? ''} placeholder="studio" onChange={(e) => editor.apply({ ...editor.doc, volume: e.target.value || undefined }, 'volume')} />
      </Form.Item>
      <h3 className="panel-head">{t('studio.run_params')}</h3>
      <p className="secondary small">{t('studio.run_params_hint', { example: '${seed}' })}</p>
      {params.map((p, i) => (
        <ParamRow
          key={i}
          param={p}
          change={(next) => setParams(params.map((old, j) => (j === i ? next : old)), `doc-param ${i}`)}
          remove={() => setParams(params.filter((_, j) => j !== i))}
        />
      ))}
      <Button size="small" icon={<PlusOutlined />} onClick={() => setParams([...params, { name: `param${params.length + 1}`, type: 'int' }])}>
        {t('studio.add_param')}
      </Button>
    </Form>
  );
}
