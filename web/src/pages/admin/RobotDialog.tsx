// Making a robot, changing what it may, and its secret, which is shown once.
import { Alert, Button, Checkbox, Form, Input, Modal, Select, Typography } from 'antd';
import { useState } from 'react';
import { usePermissions } from '../../api/admin';
import { changeRobot, createRobot, type RobotBody } from '../../api/people';
import { useProjects } from '../../api/queries';
import type { Robot, RobotGrant, RobotSecret } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { useText } from '../../i18n';
import { usePermissionText } from './permissions';

const DAY = 86400;
const LIVES = [30, 90, 365, 0] as const; // days; 0: without end

interface Fields {
  name: string;
  description: string;
  days: number; // -1: as it is
  projects: string[];
  permissions: string[];
}

/** What a robot can be given: the rights of a maintainer but for deciding who may what. */
function RightBoxes(props: { id?: string; value?: string[]; onChange?: (permissions: string[]) => void }) {
  const text = usePermissionText();
  const all = (usePermissions().data?.roles.maintainer ?? []).filter((p) => p.includes(':') && p !== 'project:manage');
  return (
    <Checkbox.Group value={props.value} onChange={props.onChange} className="scopes">
      {all.map((p) => (
        <Checkbox key={p} value={p}>
          <span className="mono">{p}</span>
          <div className="secondary">{text(p)}</div>
        </Checkbox>
      ))}
    </Checkbox.Group>
  );
}

function ProjectChoice(props: { id?: string; value?: string[]; onChange?: (projects: string[]) => void }) {
  const t = useText();
  const projects = useProjects().data?.items ?? [];
  return (
    <Select
      id={props.id}
      mode="multiple"
      value={props.value}
      onChange={props.onChange}
      options={[{ value: '*', label: t('robot.everywhere') }, ...projects.map((p) => ({ value: p.name, label: p.name }))]}
    />
  );
}

export function RobotSecretView({ made, close }: { made: RobotSecret; close: () => void }) {
  const t = useText();
  return (
    <Modal open title={t('robot.secret_of', { name: made.robot.name })} onCancel={close} footer={<Button type="primary" onClick={close}>{t('account.token_kept')}</Button>}>
      <Alert type="warning" showIcon title={t('account.token_once')} description={t('account.token_once_hint')} />
      <Typography.Paragraph copyable={{ text: made.secret }} className="mono once token-text">
        {made.secret}
      </Typography.Paragraph>
      <Typography.Text type="secondary">{t('robot.use')}</Typography.Text>
      <pre className="mono once">docker login -u '{made.robot.login}' {window.location.host}</pre>
    </Modal>
  );
}

/** Grants that are the same in each project, as this dialog makes them; others are changed with the command line. */
export function isPlain(grants: RobotGrant[]) {
  return grants.every((g) => g.permissions.join() === grants[0]?.permissions.join());
}

function bodyOf(home: string, f: Fields, robot: Robot | null): RobotBody {
  const permissions = f.permissions as RobotGrant['permissions'];
  return {
    ...(!robot && { name: f.name.trim() }),
    description: f.description.trim(),
    ...(f.days >= 0 && { expires_in_seconds: f.days > 0 ? f.days * DAY : null }),
    ...(home ? { permissions } : { grants: f.projects.map((project) => ({ project, permissions })) }),
  };
}

/** `robot`: the one that is changed; null: a new one. */
export function RobotDialog({ home, robot, close }: { home: string; robot: Robot | null; close: () => void }) {
  const t = useText();
  const [form] = Form.useForm<Fields>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [made, setMade] = useState<RobotSecret | null>(null);
  const save = async (f: Fields) => {
    setBusy(true);
    setError(null);
    try {
      if (robot) {
        await changeRobot(home, robot.name, bodyOf(home, f, robot));
        close();
      } else {
        setMade(await createRobot(home, bodyOf(home, f, null)));
      }
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  if (made) {
    return <RobotSecretView made={made} close={close} />;
  }
  const lives = [...(robot ? [-1] : []), ...LIVES];
  const life = (d: number) => (d < 0 ? t('robot.as_it_is') : d ? t('account.days', { n: d }) : t('account.never'));
  const initial: Fields = {
    name: '',
    description: robot?.description ?? '',
    days: robot ? -1 : 365,
    projects: robot?.grants.map((g) => g.project) ?? [],
    permissions: robot?.grants[0]?.permissions ?? ['image:pull'],
  };
  return (
    <Modal
      open
      width={680}
      title={robot ? t('robot.change_title', { name: robot.login }) : t('robot.new')}
      okText={robot ? t('action.save') : t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={form.submit}
      onCancel={close}
    >
      <Form form={form} layout="vertical" initialValues={initial} onFinish={(f) => void save(f)}>
        {!robot && (
          <Form.Item name="name" label={t('admin.name')} extra={t('robot.name_hint', { login: home ? `robot$${home}+ci` : 'robot$ci' })} rules={[{ required: true, whitespace: true, message: t('admin.name_rule') }]}>
            <Input autoFocus autoComplete="off" />
          </Form.Item>
        )}
        <Form.Item name="description" label={t('robot.description')}>
          <Input autoComplete="off" maxLength={200} />
        </Form.Item>
        <Form.Item name="days" label={t('account.expires')}>
          <Select options={lives.map((d) => ({ value: d, label: life(d) }))} />
        </Form.Item>
        {!home && (
          <Form.Item name="projects" label={t('robot.where')} rules={[{ required: true, type: 'array', min: 1, message: t('account.scopes_rule') }]}>
            <ProjectChoice />
          </Form.Item>
        )}
        <Form.Item name="permissions" label={t('account.scopes')} rules={[{ required: true, type: 'array', min: 1, message: t('account.scopes_rule') }]}>
          <RightBoxes />
        </Form.Item>
      </Form>
      {error !== null && <ErrorView error={error} />}
    </Modal>
  );
}
