// When a pipeline runs by itself.
import { Alert, Button, Form, Input, Modal, Select, Switch } from 'antd';
import { useState } from 'react';
import { saveSchedule, type Pipeline, type Schedule } from '../../api/studio';
import { ErrorView } from '../../components/ErrorView';
import { useSave } from '../../components/useSave';
import { useServerText, useText } from '../../i18n';
import { ParamInputs, paramsOf } from './runs/RunDialog';

const EXAMPLES = ['0 * * * *', '0 3 * * *', '0 3 * * 1', '0 3 1 * *'];
const zones = (): string[] => (Intl as unknown as { supportedValuesOf?: (what: string) => string[] }).supportedValuesOf?.('timeZone') ?? [];
const here = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

interface Props {
  project: string;
  name: string;
  pipeline: Pipeline;
  mayWrite: boolean;
  close: () => void;
}

export function ScheduleDialog({ project, name, pipeline, mayWrite, close }: Props) {
  const t = useText();
  const say = useServerText();
  const old = pipeline.schedule;
  const [cron, setCron] = useState(old?.cron ?? '');
  const [timezone, setTimezone] = useState(old?.timezone ?? here());
  const [enabled, setEnabled] = useState(old?.enabled !== false);
  const params = pipeline.document.params ?? [];
  const [typed, setTyped] = useState<Record<string, string>>(() => Object.fromEntries(Object.entries(old?.params ?? {}).map(([k, v]) => [k, String(v)])));
  const { busy, error, run } = useSave<Schedule | null>((schedule) => saveSchedule(project, name, schedule), close);
  const submit = () => void run({ cron: cron.trim(), timezone, enabled, params: paramsOf(params, typed) });
  return (
    <Modal
      open
      title={t('studio.schedule_of', { name })}
      onCancel={close}
      footer={
        mayWrite
          ? [
              ...(old
                ? [
                    <Button key="none" danger loading={busy} onClick={() => void run(null)}>
                      {t('studio.no_schedule')}
                    </Button>,
                  ]
                : []),
              <Button key="cancel" onClick={close}>
                {t('action.cancel')}
              </Button>,
              <Button key="save" type="primary" loading={busy} disabled={cron.trim() === ''} onClick={submit}>
                {t('action.save')}
              </Button>,
            ]
          : null
      }
    >
      <Form layout="vertical" disabled={!mayWrite} onFinish={submit}>
        {error !== null && <ErrorView error={error} />}
        {old?.paused && <Alert type="warning" showIcon role="alert" title={t('studio.schedule_paused', { why: say(old.paused) })} />}
        <Form.Item label="cron" htmlFor="schedule-cron" extra={t('studio.cron_hint')}>
          <Input id="schedule-cron" className="mono" value={cron} placeholder="0 3 * * *" onChange={(e) => setCron(e.target.value)} />
        </Form.Item>
        {mayWrite && (
          <p className="cron-examples">
            {EXAMPLES.map((e, i) => (
              <button type="button" key={e} className="chip" onClick={() => setCron(e)}>
                {t(`studio.cron_${i as 0 | 1 | 2 | 3}`)}
              </button>
            ))}
          </p>
        )}
        <Form.Item label={t('studio.timezone')}>
          <Select aria-label={t('studio.timezone')} showSearch value={timezone} onChange={setTimezone} options={[...new Set(['UTC', here(), timezone, ...zones()])].map((z) => ({ value: z, label: z }))} />
        </Form.Item>
        <ParamInputs params={params} typed={typed} change={setTyped} />
        <label className="switch">
          <Switch size="small" checked={enabled} disabled={!mayWrite} onChange={setEnabled} /> {t('studio.enabled')}
        </label>
      </Form>
    </Modal>
  );
}
