// Bringing an image from a file: docker save, skopeo, buildah. Read and pushed piece by piece in the browser.
import { Alert, Button, Form, Input, Modal, Progress, Select, Space, Typography } from 'antd';
import { InboxOutlined } from '@ant-design/icons';
import { useState, type DragEvent } from 'react';
import { Link } from 'react-router-dom';
import { filePath } from '../../api/client';
import { ErrorView } from '../../components/ErrorView';
import { bytes, duration } from '../../components/format';
import { useText } from '../../i18n';
import { nameHere, type ArchiveImage } from './archive/archive';
import { Problem } from './archive/problem';
import { useArchive, type Stage } from './useArchive';

function DropZone({ take }: { take: (file: File) => void }) {
  const t = useText();
  const [over, setOver] = useState(false);
  const drop = (e: DragEvent) => {
    e.preventDefault();
    e.stopPropagation();
    setOver(false);
    const file = e.dataTransfer.files[0];
    if (file) {
      take(file);
    }
  };
  return (
    <label className={over ? 'drop-zone over' : 'drop-zone'} onDragOver={(e) => (e.preventDefault(), setOver(true))} onDragLeave={() => setOver(false)} onDrop={drop}>
      <InboxOutlined className="drop-icon" />
      <strong>{t('images.drop')}</strong>
      <span className="secondary">{t('images.drop_hint')}</span>
      <code className="mono">docker save IMAGE:TAG -o image.tar</code>
      <input className="sr-only" type="file" accept=".tar,.gz,.tgz" onChange={(e) => e.target.files?.[0] && take(e.target.files[0])} />
    </label>
  );
}

function Choose({ stage, project, push }: { stage: Stage & { is: 'choose' }; project: string; push: (image: ArchiveImage, repository: string, tag: string) => void }) {
  const t = useText();
  const [at, setAt] = useState(0);
  const [form] = Form.useForm<{ repository: string; tag: string }>();
  const image = stage.images[at];
  const initial = nameHere(image?.name ?? '', stage.file.name);
  const total = new Map(image?.blobs.map((b) => [b.digest, b.size]));
  return (
    <Form form={form} layout="vertical" initialValues={initial} onFinish={(v) => image && push(image, v.repository, v.tag)}>
      {stage.images.length > 1 && (
        <Form.Item label={t('images.which')}>
          <Select
            value={at}
            aria-label={t('images.which')}
            onChange={(i) => {
              setAt(i);
              form.setFieldsValue(nameHere(stage.images[i]?.name ?? '', stage.file.name));
            }}
            options={stage.images.map((im, i) => ({ value: i, label: im.name || `#${i + 1}` }))}
          />
        </Form.Item>
      )}
      <Typography.Paragraph type="secondary">
        {t('images.found', { name: image?.name || stage.file.name, parts: total.size, size: bytes([...total.values()].reduce((s, n) => s + n, 0)) })}
      </Typography.Paragraph>
      <Form.Item name="repository" label={t('images.repository')} extra={`${project}/…`} rules={[{ required: true, pattern: /^[a-z0-9]+([._/-]+[a-z0-9]+)*$/, message: t('images.repository_rule') }]}>
        <Input autoComplete="off" />
      </Form.Item>
      <Form.Item name="tag" label={t('images.tag')} rules={[{ required: true, pattern: /^\w[\w.-]{0,127}$/, message: t('images.tag_rule') }]}>
        <Input autoComplete="off" />
      </Form.Item>
      <Button type="primary" htmlType="submit">
        {t('images.push')}
      </Button>
    </Form>
  );
}

function Pushing({ stage }: { stage: Stage & { is: 'pushing' } }) {
  const t = useText();
  const { done, total, sent, skipped } = stage.progress;
  const seconds = (stage.now - stage.began) / 1000;
  const rate = seconds > 0.2 ? sent / seconds : 0;
  const left = rate > 0 ? t('images.left', { time: duration(((total - done) / rate) * 1000) }) : '';
  return (
    <Space orientation="vertical" className="full">
      <Progress percent={total ? Math.floor((100 * done) / total) : 0} status="active" aria-label={t('images.pushing')} />
      <span role="status">
        {bytes(done)} / {bytes(total)} · {bytes(Math.round(rate))}/s {left && `· ${left}`}
      </span>
      {skipped > 0 && <span className="secondary">{t('images.skipped', { n: skipped })}</span>}
    </Space>
  );
}

function Failed({ error }: { error: unknown }) {
  const t = useText();
  return error instanceof Problem ? (
    <Alert type="error" showIcon role="alert" title={t(`images.problem_${error.kind}`)} description={t(`images.problem_${error.kind}_hint`, { detail: error.detail })} />
  ) : (
    <ErrorView error={error} />
  );
}

export default function UploadArchive({ project, file, close }: { project: string; file: File | null; close: () => void }) {
  const t = useText();
  const { stage, open, push, cancel } = useArchive(project, file);
  const isBusy = stage.is === 'reading' || stage.is === 'pushing';
  return (
    <Modal
      open
      title={t('images.upload')}
      mask={{ closable: !isBusy }}
      keyboard={!isBusy}
      width={600}
      onCancel={() => (cancel(), close())}
      footer={
        isBusy ? <Button onClick={cancel}>{t('action.cancel')}</Button> : <Button onClick={close}>{t('action.close')}</Button>
      }
    >
      {stage.is === 'reading' && (
        <Space orientation="vertical" className="full">
          <span role="status">{t('images.reading', { size: bytes(stage.at) })}</span>
          <Progress percent={stage.share === null ? 100 : Math.floor(100 * stage.share)} status="active" showInfo={stage.share !== null} aria-label={t('images.reading_label')} />
        </Space>
      )}
      {stage.is === 'choose' && <Choose stage={stage} project={project} push={push} />}
      {stage.is === 'pushing' && <Pushing stage={stage} />}
      {stage.is === 'done' && (
        <Alert
          type="success"
          showIcon
          role="status"
          title={t('images.pushed_now', { name: `${project}/${stage.repository}:${stage.tag}` })}
          description={
            <Link to={`/p/${encodeURIComponent(project)}/images/${filePath(stage.repository)}?tag=${encodeURIComponent(stage.tag)}`} onClick={close}>
              {t('images.show')}
            </Link>
          }
        />
      )}
      {stage.is === 'failed' && (
        <div className="after-error">
          <Failed error={stage.error} />
        </div>
      )}
      {(stage.is === 'empty' || stage.is === 'failed') && <DropZone take={open} />}
    </Modal>
  );
}
