// Labels that images of a project may have: its own, which maintainers make, and the global ones of administrators.
import { DeleteOutlined, EditOutlined } from '@ant-design/icons';
import { Button, ColorPicker, Form, Input, Modal, Radio } from 'antd';
import { useState } from 'react';
import { useParams } from 'react-router-dom';
import { deleteLabel, saveLabel, useLabels, type LabelFields, type Scope } from '../../api/labels';
import { path } from '../../api/client';
import type { Label } from '../../api/types';
import { useSession } from '../../app/session';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useSave } from '../../components/useSave';
import { useText } from '../../i18n';
import { LabelChip } from './LabelChips';
import './images.css';

const COLORS = ['#cf1322', '#d46b08', '#d4b106', '#389e0d', '#08979c', '#0065ab', '#531dab', '#c41d7f', '#595959'];

interface Fields extends LabelFields {
  scope: Scope;
}

/** Who may change those of the project, and those of all. */
function useMayChange(project: string) {
  const { may, me } = useSession();
  return { project: may('project:manage', project), global: me.is_admin };
}

function LabelDialog({ project, label, close }: { project: string; label: Label | null; close: () => void }) {
  const t = useText();
  const mayChange = useMayChange(project);
  const [form] = Form.useForm<Fields>();
  const { busy, error, run } = useSave<Fields>(
    ({ scope, ...f }) => saveLabel(project, label?.scope ?? scope, label?.name ?? null, f),
    close,
  );
  return (
    <Modal
      open
      title={label ? t('labels.change', { name: label.name }) : t('labels.new')}
      okText={t('action.save')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" initialValues={label ?? { name: '', description: '', color: '#0065ab', scope: 'project' }} onFinish={(f) => void run(f)}>
        <Form.Item name="name" label={t('labels.name')} extra={t('labels.name_rule')} rules={[{ required: true, message: t('labels.name_rule') }]}>
          <Input autoFocus autoComplete="off" maxLength={128} />
        </Form.Item>
        <Form.Item name="description" label={t('labels.description')}>
          <Input autoComplete="off" maxLength={500} />
        </Form.Item>
        <Form.Item name="color" label={t('labels.color')} getValueFromEvent={(c: { toHexString: () => string }) => c.toHexString()}>
          <ColorPicker disabledAlpha showText presets={[{ label: t('labels.color'), colors: COLORS }]} />
        </Form.Item>
        {!label && mayChange.global && (
          <Form.Item name="scope" label={t('labels.scope')}>
            <Radio.Group options={(['project', 'global'] as const).map((value) => ({ value, label: t(`labels.scope_${value}`) }))} />
          </Form.Item>
        )}
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

export default function Labels() {
  const t = useText();
  const project = useParams().project ?? '';
  const confirm = useConfirm();
  const mayChange = useMayChange(project);
  const [q] = useParam('q');
  const labels = useLabels(project, q);
  const [shown, show] = useState<{ label: Label | null } | null>(null);
  const remove = (label: Label) =>
    confirm({
      title: t('labels.delete', { name: label.name }),
      consequence: t(label.scope === 'global' ? 'labels.delete_global_hint' : 'labels.delete_hint'),
      ok: t('action.delete'),
      run: () => deleteLabel(project, label),
    });
  const images = `/p/${encodeURIComponent(project)}/images`;
  const url = path`/api/v1/projects/${project}/labels`;
  return (
    <>
      <PageHead
        title={t('labels.title')}
        crumbs={[{ name: t('images.title'), to: images }, { name: t('labels.title') }]}
        commands={[
          { cli: `strata label list -p ${project}`, url },
          ...(mayChange.project
            ? [
                { cli: `strata label create NAME --color '#389e0d' -p ${project}`, method: 'POST' as const, url, body: { name: 'NAME', color: '#389e0d' } },
                { cli: `strata label delete NAME -p ${project}`, method: 'DELETE' as const, url: `${url}/NAME` },
              ]
            : []),
        ]}
        actions={
          (mayChange.project || mayChange.global) && (
            <Button type="primary" onClick={() => show({ label: null })}>
              {t('labels.new')}
            </Button>
          )
        }
      />
      <div className="filters">
        <FilterBox label={t('images.filter')} />
      </div>
      {labels.error ? (
        <ErrorView error={labels.error} retry={() => void labels.refetch()} />
      ) : (
        <PagedTable<Label>
          rowKey="id"
          pages={labels}
          locale={{ emptyText: t(q ? 'list.none_fit' : 'labels.none') }}
          columns={[
            {
              title: t('labels.name'),
              key: 'name',
              render: (_, l) => (
                <>
                  <LabelChip label={l} />
                  <div className="secondary narrow-line">{l.description}</div>
                </>
              ),
            },
            { title: t('labels.description'), dataIndex: 'description', responsive: ['md'] },
            { title: t('labels.scope'), dataIndex: 'scope', width: 140, render: (s: Scope) => t(`labels.scope_${s}`) },
            {
              title: <span className="sr-only">{t('action.delete')}</span>,
              key: 'actions',
              width: 96,
              render: (_, l) =>
                mayChange[l.scope] && (
                  <span className="nowrap">
                    <Button type="text" icon={<EditOutlined />} aria-label={t('labels.change', { name: l.name })} onClick={() => show({ label: l })} />
                    <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('labels.delete', { name: l.name })} onClick={() => remove(l)} />
                  </span>
                ),
            },
          ]}
        />
      )}
      {shown && <LabelDialog project={project} label={shown.label} close={() => show(null)} />}
    </>
  );
}
