// Which tags stay and which go: the rules, when they are applied, what they would do, and what they did.
import { EyeOutlined, PlayCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { App, Button, Card, Flex, Form, Input, Modal, Radio, Skeleton, Space, Typography } from 'antd';
import { useState } from 'react';
import { changePolicy, runRetention, usePolicy } from '../../../api/imageRules';
import type { ImagePolicy, RetentionRule } from '../../../api/types';
import { useConfirm } from '../../../components/confirm';
import { ErrorView } from '../../../components/ErrorView';
import { useParam } from '../../../components/useParam';
import { useText } from '../../../i18n';
import { RetentionRuns } from './RetentionRuns';
import { RetentionDialog } from './RuleDialogs';
import { RulesTable } from './RulesTable';
import { useSave } from '../../../components/useSave';

type WhenFields = { schedule: string; others: 'keep' | 'remove' };

function WhenDialog({ project, now, close }: { project: string; now: ImagePolicy['retention']; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<WhenFields>();
  const save = ({ schedule, others }: WhenFields) =>
    changePolicy(project, (p) => ({ ...p, retention: { ...p.retention, schedule: schedule.trim() || null, others } }));
  const { busy, error, run } = useSave(save, close);
  return (
    <Modal open title={t('rules.when')} okText={t('action.save')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={form.submit} onCancel={close}>
      <Form form={form} layout="vertical" initialValues={{ schedule: now.schedule ?? '', others: now.others }} onFinish={(f) => void run(f)}>
        <Form.Item name="schedule" label={t('repl.schedule')} extra={t('rules.schedule_hint')}>
          <Input className="mono" autoComplete="off" placeholder="@daily" />
        </Form.Item>
        <Form.Item name="others" label={t('rules.others')}>
          <Radio.Group
            options={[
              { value: 'keep', label: t('rules.others_keep') },
              { value: 'remove', label: t('rules.others_remove') },
            ]}
          />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}

function RunButtons({ project }: { project: string }) {
  const t = useText();
  const confirm = useConfirm();
  const { modal } = App.useApp();
  const [, show] = useParam('run');
  const [busy, setBusy] = useState(false);
  const start = async (isDry: boolean) => show(String((await runRetention(project, isDry)).id));
  const preview = async () => {
    setBusy(true);
    try {
      await start(true);
    } catch (error) {
      modal.error({ icon: null, title: t('rules.preview'), content: <ErrorView error={error} />, okText: t('action.close') });
    }
    setBusy(false);
  };
  const apply = () => confirm({ title: t('rules.apply_title'), consequence: t('rules.apply_hint'), ok: t('rules.apply'), run: () => start(false) });
  return (
    <Space wrap>
      <Button type="primary" icon={<EyeOutlined />} loading={busy} onClick={() => void preview()}>
        {t('rules.preview')}
      </Button>
      <Button danger icon={<PlayCircleOutlined />} onClick={apply}>
        {t('rules.apply')}
      </Button>
    </Space>
  );
}

export function Retention({ project, mayManage }: { project: string; mayManage: boolean }) {
  const t = useText();
  const policy = usePolicy(project);
  const [asked, setAsked] = useState<{ rule: RetentionRule | null } | 'when' | null>(null);
  if (policy.error) {
    return <ErrorView error={policy.error} retry={() => void policy.refetch()} />;
  }
  if (!policy.data) {
    return <Skeleton active />;
  }
  const { rules, schedule, others } = policy.data.retention;
  const close = () => setAsked(null);
  return (
    <Flex vertical gap={16}>
      <Card
        title={t('rules.retention')}
        extra={
          mayManage && (
            <Button icon={<PlusOutlined />} onClick={() => setAsked({ rule: null })}>
              {t('rules.new')}
            </Button>
          )
        }
      >
        <Typography.Paragraph type="secondary">{t('rules.retention_hint')}</Typography.Paragraph>
        <RulesTable<RetentionRule>
          project={project}
          rules={rules}
          empty={t('rules.no_retention')}
          keeps={(r) => t(`rules.keep_${r.keep}`, { n: r.n ?? '' })}
          without={(p, id) => ({ ...p, retention: { ...p.retention, rules: p.retention.rules.filter((r) => r.id !== id) } })}
          edit={mayManage ? (rule) => setAsked({ rule }) : null}
        />
        {rules.length > 0 && (
          <Space wrap size={[24, 8]} className="after-rules">
            <span>
              {t('rules.when')}: {schedule ? <code>{schedule}</code> : t('repl.trigger_manual')}
            </span>
            <span>
              {t('rules.others')}: {t(`rules.others_${others}`)}
            </span>
            {mayManage && <Button onClick={() => setAsked('when')}>{t('rules.change_when')}</Button>}
          </Space>
        )}
      </Card>
      <Card title={t('repl.runs')} extra={mayManage && rules.length > 0 && <RunButtons project={project} />}>
        <RetentionRuns project={project} />
      </Card>
      {asked === 'when' ? (
        <WhenDialog project={project} now={policy.data.retention} close={close} />
      ) : (
        asked && <RetentionDialog project={project} rule={asked.rule} close={close} />
      )}
    </Flex>
  );
}
