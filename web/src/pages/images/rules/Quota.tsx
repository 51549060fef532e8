// How much room the images of a project have, and how much of it they take.
import { Button, Card, Form, InputNumber, Modal, Progress, Radio, Select, Skeleton, Space, Typography } from 'antd';
import { useState } from 'react';
import { setQuota, useQuota } from '../../../api/imageRules';
import type { ImageQuota } from '../../../api/types';
import { useSession } from '../../../app/session';
import { ErrorView } from '../../../components/ErrorView';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';
import { useSave } from '../../../components/useSave';

const UNITS = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };
type Unit = keyof typeof UNITS;
const NEAR = 85; // percent; the server warns from here on

interface Fields {
  kind: 'default' | 'own';
  n: number;
  unit: Unit;
}

/** In the largest unit that it fits without a rest. */
function fieldsOf({ quota_bytes, is_default }: ImageQuota): Fields {
  const own = quota_bytes ?? 10 * UNITS.GiB;
  const unit = (['TiB', 'GiB', 'MiB'] as const).find((u) => own % UNITS[u] === 0) ?? 'MiB';
  return { kind: is_default ? 'default' : 'own', n: own / UNITS[unit], unit };
}

function QuotaDialog({ project, quota, close }: { project: string; quota: ImageQuota; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<Fields>();
  const kind = Form.useWatch('kind', form);
  const { busy, error, run } = useSave<Fields>((f) => setQuota(project, f.kind === 'own' ? Math.round(f.n * UNITS[f.unit]) : null), close);
  return (
    <Modal open title={t('rules.quota_change')} okText={t('action.save')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" initialValues={fieldsOf(quota)} onFinish={(f) => void run({ ...fieldsOf(quota), ...f })}>
        <Form.Item name="kind" label={t('rules.quota')}>
          <Radio.Group
            options={[
              { value: 'default', label: t('rules.quota_default') },
              { value: 'own', label: t('rules.quota_own') },
            ]}
          />
        </Form.Item>
        {kind === 'own' && (
          <Space align="start">
            <Form.Item name="n" label={t('rules.quota_size')} rules={[{ required: true, message: t('rules.quota_rule') }]}>
              <InputNumber min={0} autoFocus />
            </Form.Item>
            <Form.Item name="unit" label={t('rules.quota_unit')}>
              <Select options={Object.keys(UNITS).map((value) => ({ value, label: value }))} />
            </Form.Item>
          </Space>
        )}
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

export function Quota({ project }: { project: string }) {
  const t = useText();
  const { me } = useSession();
  const quota = useQuota(project);
  const [asking, setAsking] = useState(false);
  if (quota.error) {
    return <ErrorView error={quota.error} retry={() => void quota.refetch()} />;
  }
  if (!quota.data) {
    return <Skeleton active />;
  }
  const { used_bytes: used, quota_bytes: limit, is_default: isDefault } = quota.data;
  const percent = limit === null ? 0 : limit === 0 ? 100 : Math.min(100, Math.round((100 * used) / limit));
  return (
    <Card title={t('rules.quota')} className="rules-card" extra={me.is_admin && <Button onClick={() => setAsking(true)}>{t('rules.quota_change')}</Button>}>
      <p className="quota-line">
        <strong>{bytes(used)}</strong> {limit === null ? t('rules.no_limit') : t('rules.of', { limit: bytes(limit), percent })}
      </p>
      {limit !== null && (
        <Progress percent={percent} showInfo={false} status={percent >= NEAR ? 'exception' : 'normal'} aria-label={t('rules.quota')} />
      )}
      <Typography.Paragraph type="secondary">
        {isDefault && t('rules.quota_is_default')} {t('rules.quota_hint')}
      </Typography.Paragraph>
      {asking && <QuotaDialog project={project} quota={quota.data} close={() => setAsking(false)} />}
    </Card>
  );
}
