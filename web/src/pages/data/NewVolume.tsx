import { Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router-dom';
import { ApiError } from '../../api/client';
import { pageOf } from '../../api/files';
import { queryClient } from '../../api/queries';
import { createVolume } from '../../api/volumes';
import { useText } from '../../i18n';

export function NewVolume({ project, open, close }: { project: string; open: boolean; close: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const [form] = Form.useForm<{ name: string }>();
  const [busy, setBusy] = useState(false);
  const create = async ({ name }: { name: string }) => {
    setBusy(true);
    try {
      await createVolume(project, name);
      void queryClient.invalidateQueries({ queryKey: ['volumes', project] });
      close();
      navigate(pageOf({ project, volume: name }));
    } catch (e) {
      form.setFields([{ name: 'name', errors: [(e as ApiError).message] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open={open}
      title={t('data.new_volume')}
      okText={t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
      destroyOnHidden
    >
      <Form form={form} layout="vertical" onFinish={(f) => void create(f)} requiredMark={false} preserve={false}>
        <Form.Item
          name="name"
          label={t('data.volume_name')}
          extra={t('data.volume_name_hint')}
          rules={[{ required: true, pattern: /^[a-z0-9][a-z0-9._-]{0,63}$/, message: '' }]}
        >
          <Input autoFocus autoComplete="off" spellCheck={false} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
