// Everything of a step that can be set: its name, where its inputs come from, the parameters of its module, the cache.
import { DeleteOutlined, EyeOutlined, ToolOutlined } from '@ant-design/icons';
import { Button, Flex, Form, Input, Select, Switch, Typography } from 'antd';
import { useEffect, useState } from 'react';
import type { Doc, Module } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';
import { columnsInto } from '../graph/columns';
import { refusalOf } from '../graph/connections';
import { changeNode, connect, disconnect, isId, refOf, renameNode, setParam, type Modules } from '../graph/document';
import { mendingsOf } from './mending';
import { Fixes } from './Mistakes';
import { ParamField } from './ParamField';
import { useEditor, useEditorStore } from './store';

/** All outputs that can go into this input. */
function sourcesFor(doc: Doc, modules: Modules, node: string, port: string): string[] {
  return Object.entries(doc.nodes).flatMap(([id, n]) =>
    (modules.get(n.module)?.outputs ?? []).flatMap((out) =>
      refusalOf(doc, modules, { source: id, sourcePort: out.name, target: node, targetPort: port }) === null ? [`${id}.${out.name}`] : [],
    ),
  );
}

function Inputs({ id, module }: { id: string; module: Module }) {
  const t = useText();
  const say = useServerText();
  const editor = useEditorStore();
  const doc = useEditor((e) => e.doc);
  return module.inputs.map((port) => {
    const now = doc.nodes[id]?.inputs?.[port.name];
    const sources = sourcesFor(doc, editor.modules, id, port.name);
    return (
      <Form.Item
        key={port.name}
        label={
          <>
            <span className={`shape shape-${port.type}`} aria-hidden /> {t('studio.input')} {port.name}
          </>
        }
        required={!port.optional}
        extra={<span className="small">{say(port.help ?? '')}</span>}
      >
        <Select
          aria-label={`${t('studio.input')} ${port.name}`}
          allowClear
          disabled={editor.readOnly}
          placeholder={t('studio.not_connected')}
          value={now}
          options={[...new Set(now ? [now, ...sources] : sources)].map((s) => ({ value: s, label: s }))}
          onChange={(ref: string | undefined) => {
            if (ref === undefined) {
              editor.apply(disconnect(editor.doc, id, port.name));
            } else {
              const [source, sourcePort] = refOf(ref);
              editor.apply(connect(editor.doc, { source, sourcePort, target: id, targetPort: port.name }));
            }
          }}
        />
      </Form.Item>
    );
  });
}

/** The id may only be one that is free: it changes when one leaves the field. */
function IdField({ id }: { id: string }) {
  const t = useText();
  const editor = useEditorStore();
  const [typed, setTyped] = useState(id);
  useEffect(() => setTyped(id), [id]);
  const isFine = typed === id || (isId(typed) && !Object.hasOwn(editor.doc.nodes, typed));
  const done = () => {
    if (isFine && typed !== id) {
      editor.apply(renameNode(editor.doc, id, typed));
      editor.select([typed]);
    } else {
      setTyped(id);
    }
  };
  return (
    <Form.Item label={t('studio.id')} validateStatus={isFine ? undefined : 'error'} help={isFine ? undefined : t('studio.id_hint')}>
      <Input className="mono" aria-label={t('studio.id')} value={typed} disabled={editor.readOnly} onChange={(e) => setTyped(e.target.value)} onBlur={done} onPressEnter={done} />
    </Form.Item>
  );
}

/** What the error of a run offers, as buttons. */
function Mendings({ id, error }: { id: string; error: string }) {
  const t = useText();
  const editor = useEditorStore();
  const node = useEditor((e) => e.doc.nodes[id]);
  return !node || editor.readOnly
    ? null
    : mendingsOf(error, node, editor.modules.get(node.module)).map((m) => (
        <Button key={m.name} size="small" icon={<ToolOutlined />} onClick={() => editor.apply(changeNode(editor.doc, id, m.node))}>
          {t('studio.set_param', { name: m.name, value: m.value })}
        </Button>
      ));
}

function LastRun({ id, preview }: { id: string; preview: (port: string) => void }) {
  const t = useText();
  const say = useServerText();
  const run = useEditor((e) => e.runNode(id));
  if (!run) {
    return null;
  }
  return (
    <div className="last-run">
      {run.cache && (
        <p className="small">
          <strong>{t(run.cache.hit ? 'studio.from_cache' : 'studio.not_from_cache')}</strong> {say(run.cache.why)}
        </p>
      )}
      {run.error && (
        <p role="alert" className="bad">
          {say(run.error.message)} <Mendings id={id} error={run.error.message} />
        </p>
      )}
      <Flex gap={6} wrap>
        {Object.entries(run.outputs ?? {}).map(([port, out]) => (
          <Button key={port} size="small" icon={<EyeOutlined />} disabled={out.preview === false} onClick={() => preview(port)}>
            {t('studio.preview_of', { port })}
          </Button>
        ))}
        {run.job && (
          <Button size="small" onClick={() => preview('log')}>
            {t('studio.log')}
          </Button>
        )}
      </Flex>
    </div>
  );
}

export function NodeForm({ id, project, preview }: { id: string; project: string; preview: (node: string, port: string) => void }) {
  const t = useText();
  const say = useServerText();
  const editor = useEditorStore();
  const doc = useEditor((e) => e.doc);
  const mistakes = useEditor((e) => e.mistakesOf(id));
  const checked = useEditor((e) => e.checked);
  const node = doc.nodes[id];
  if (!node) {
    return null;
  }
  const module = editor.modules.get(node.module);
  const columns = columnsInto(doc, checked, module, id);
  const known = new Set(module?.params.map((p) => p.name));
  return (
    <Form layout="vertical" className="node-form" component="div">
      <Flex justify="space-between" align="start" gap={8}>
        <div>
          <strong>{say(module?.title ?? node.module)}</strong> <span className="secondary small mono">{module?.version}</span>
          <p className="secondary small">{module ? say(module.description ?? '') : t('studio.unknown_module', { name: node.module })}</p>
        </div>
        {!editor.readOnly && <Button type="text" danger icon={<DeleteOutlined />} aria-label={t('studio.remove_step', { name: id })} onClick={() => (editor.select([id]), editor.remove())} />}
      </Flex>
      {/* Those of a parameter stand at its field. */}
      <Fixes mistakes={mistakes.filter((m) => !m.param || !known.has(m.param))} />
      <LastRun id={id} preview={(port) => preview(id, port)} />
      <Form.Item label={t('studio.title')}>
        <Input
          aria-label={t('studio.title')}
          value={node.title ?? ''}
          placeholder={id}
          disabled={editor.readOnly}
          maxLength={200}
          onChange={(e) => editor.apply(changeNode(editor.doc, id, { title: e.target.value || undefined }), `title ${id}`)}
        />
      </Form.Item>
      {module && <Inputs id={id} module={module} />}
      {module?.params.map((p) => (
        <ParamField
          key={p.name}
          project={project}
          param={p}
          value={node.params?.[p.name]}
          columns={columns}
          runParams={doc.params ?? []}
          mistakes={mistakes.filter((m) => m.param === p.name)}
          disabled={editor.readOnly}
          onChange={(v) => editor.apply(setParam(editor.doc, id, p.name, v), `param ${id}.${p.name}`)}
        />
      ))}
      {Object.keys(node.params ?? {})
        .filter((name) => !known.has(name))
        .map((name) => (
          <Flex key={name} gap={8} align="center">
            <Typography.Text type="danger">{t('studio.unknown_param', { name })}</Typography.Text>
            <Button size="small" onClick={() => editor.apply(setParam(editor.doc, id, name, undefined))}>
              {t('action.delete')}
            </Button>
          </Flex>
        ))}
      {/* A module with a parameter of that name has said it above; imports run within the server. */}
      {(node.memory !== undefined || (!known.has('memory') && module?.kind !== 'import')) && (
        <Form.Item label={t('studio.memory')} extra={t('studio.memory_hint')}>
          <Input
            aria-label={t('studio.memory')}
            value={String(node.memory ?? '')}
            placeholder={t('studio.memory_auto')}
            disabled={editor.readOnly}
            maxLength={20}
            onChange={(e) => editor.apply(changeNode(editor.doc, id, { memory: e.target.value.trim() || undefined }), `memory ${id}`)}
          />
        </Form.Item>
      )}
      <IdField id={id} />
      <label className="switch">
        <Switch size="small" disabled={editor.readOnly} checked={node.cache !== false} onChange={(on) => editor.apply(changeNode(editor.doc, id, { cache: on ? undefined : false }))} /> {t('studio.use_cache')}
      </label>
    </Form>
  );
}
