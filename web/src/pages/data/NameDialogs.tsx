// The dialogs that ask for a name: a new folder, and another name or place of something.
import { Checkbox, Form, Input, Modal, type FormInstance } from 'antd';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { decodeRaw, encodeName, joinRaw, rawOf, rawPath, type Place } from '../../api/files';
import type { Entry } from '../../api/types';
import { makeFolder, refreshFolder, renameEntry } from '../../api/volumes';
import { useText } from '../../i18n';
import { shownName } from './EntryName';

const isName = (name: string) => {
  const length = new TextEncoder().encode(name).length;
  return length > 0 && length <= 255 && name !== '.' && name !== '..';
};

interface Where {
  place: Place;
  raw: string;
}

export function NewFolder({ place, raw, open, close }: Where & { open: boolean; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<{ name: string }>();
  const [busy, setBusy] = useState(false);
  const create = async ({ name }: { name: string }) => {
    setBusy(true);
    try {
      await makeFolder(place, joinRaw(raw, rawPath(name)));
      refreshFolder(place, raw);
      close();
    } catch (e) {
      form.setFields([{ name: 'name', errors: [(e as ApiError).message] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal open={open} title={t('data.new_folder')} okText={t('action.create')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close} destroyOnHidden>
      <Form form={form} layout="vertical" onFinish={(f) => void create(f)} requiredMark={false} preserve={false}>
        <Form.Item
          name="name"
          label={t('data.folder_name')}
          extra={t('data.folder_hint')}
          rules={[{ validator: (_, v: string = '') => (v !== '' && v.split('/').filter(Boolean).every(isName) ? Promise.resolve() : Promise.reject(new Error(t('data.name_bad')))) }]}
          validateTrigger="onSubmit"
        >
          <Input autoFocus autoComplete="off" spellCheck={false} />
        </Form.Item>
      </Form>
    </Modal>
  );
}

interface RenameFields {
  name: string;
  folder: string;
  replace?: boolean;
}

/** Fields that were not touched keep their bytes: a text field cannot hold every name. */
function target(where: Where, entry: Entry, form: FormInstance<RenameFields>, fields: RenameFields): string {
  const name = form.isFieldTouched('name') ? encodeName(fields.name) : rawOf(entry);
  const folder = form.isFieldTouched('folder') ? rawPath(fields.folder ?? '') : where.raw;
  return joinRaw(folder, name);
}

export function Rename({ place, raw, entry, close }: Where & { entry: Entry; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<RenameFields>();
  const [busy, setBusy] = useState(false);
  const [isTaken, setTaken] = useState(false);
  const rename = async (fields: RenameFields) => {
    const to = target({ place, raw }, entry, form, fields);
    if (to === joinRaw(raw, rawOf(entry))) {
      close();
      return;
    }
    setBusy(true);
    try {
      await renameEntry(place, joinRaw(raw, rawOf(entry)), to, Boolean(fields.replace));
      refreshFolder(place, raw);
      close();
    } catch (e) {
      setTaken(e instanceof ApiError && e.status === 409);
      form.setFields([{ name: 'name', errors: [(e as ApiError).message] }]);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal open title={t('data.rename_title', { name: shownName(entry) })} okText={t('data.do_rename')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close} destroyOnHidden>
      <Form form={form} layout="vertical" onFinish={(f) => void rename(f)} requiredMark={false} initialValues={{ name: decodeRaw(rawOf(entry)), folder: decodeRaw(raw) }}>
        <Form.Item
          name="name"
          label={t('data.new_name')}
          validateTrigger="onSubmit"
          rules={[{ validator: (_, v: string) => (!form.isFieldTouched('name') || (isName(v) && !v.includes('/')) ? Promise.resolve() : Promise.reject(new Error(t('data.name_bad')))) }]}
        >
          <Input autoFocus autoComplete="off" spellCheck={false} />
        </Form.Item>
        <Form.Item name="folder" label={t('data.in_folder')} extra={t('data.in_folder_hint')}>
          <Input autoComplete="off" spellCheck={false} prefix={`${place.volume}/`} />
        </Form.Item>
        {isTaken && (
          <Form.Item name="replace" valuePropName="checked">
            <Checkbox>{t('data.replace')}</Checkbox>
          </Form.Item>
        )}
      </Form>
    </Modal>
  );
}
