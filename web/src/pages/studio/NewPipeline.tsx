// A new pipeline: empty, from a sample, or from a file.
import { Alert, Form, Input, Modal, Radio, Upload, Button } from 'antd';
import { UploadOutlined } from '@ant-design/icons';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { createPipeline, pipelinePage, type Doc } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { useSave } from '../../components/useSave';
import { useText } from '../../i18n';
import { useWrong } from './editor/YamlView';
import { EMPTY } from './graph/document';
import { readYaml } from './graph/yaml';
import { SAMPLES } from './samples';

const NAME = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

export function NewPipeline({ project, start, close }: { project: string; start: string; close: () => void }) {
  const t = useText();
  const say = useWrong();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const [from, setFrom] = useState(start);
  const [file, setFile] = useState<{ name: string; doc: Doc } | null>(null);
  const [wrong, setWrong] = useState('');
  const isName = NAME.test(name);
  const doc = from === 'file' ? file?.doc : from === 'empty' ? EMPTY : SAMPLES.find((s) => s.key === from)?.doc;
  const { busy, error, run } = useSave<Doc>(async (chosen) => {
    await createPipeline(project, name, chosen);
    navigate(pipelinePage(project, name));
  }, close);
  const read = async (chosen: File) => {
    const found = readYaml(await chosen.text());
    if ('wrong' in found) {
      setWrong(say(found.wrong, found.where));
      setFile(null);
    } else {
      setWrong('');
      setFile({ name: chosen.name, doc: found.doc });
      setName(name || chosen.name.replace(/\.(ya?ml|json)$/i, '').toLowerCase().replace(/[^a-z0-9._-]+/g, '-'));
    }
  };
  const submit = () => doc && isName && void run(doc);
  return (
    <Modal open title={t('studio.new')} okText={t('action.create')} cancelText={t('action.cancel')} confirmLoading={busy} okButtonProps={{ disabled: !doc || !isName }} onOk={submit} onCancel={close}>
      <Form layout="vertical" onFinish={submit}>
        {error !== null && <ErrorView error={error} />}
        <Form.Item label={t('data.name')} htmlFor="pipeline-name" extra={t('studio.name_hint')} validateStatus={name === '' || isName ? undefined : 'error'}>
          <Input id="pipeline-name" autoFocus autoComplete="off" value={name} onChange={(e) => setName(e.target.value)} />
        </Form.Item>
        <Radio.Group
          aria-label={t('studio.start_from')}
          value={from}
          onChange={(e) => setFrom(e.target.value as string)}
          className="start-from"
          options={[
            ...SAMPLES.map((s) => ({ value: s.key as string, label: t(`studio.sample_${s.key}`) })),
            { value: 'empty', label: t('studio.start_empty') },
            { value: 'file', label: t('studio.start_file') },
          ]}
        />
        {from === 'file' && (
          <Upload accept=".yaml,.yml,.json" maxCount={1} showUploadList={false} beforeUpload={(f) => (void read(f), false)}>
            <Button icon={<UploadOutlined />}>{file ? file.name : t('studio.choose_yaml')}</Button>
          </Upload>
        )}
        {wrong && <Alert role="alert" type="error" showIcon title={wrong} />}
      </Form>
    </Modal>
  );
}
