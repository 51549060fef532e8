// Accounts of programs: of a project in its settings, of the system under Admin.
import { MoreOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Card, Dropdown, Tag, Typography } from 'antd';
import { useState } from 'react';
import { changeRobot, deleteRobot, rotateRobot, useRobots } from '../../api/people';
import type { Robot, RobotSecret } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { dateTime } from '../../components/format';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago, useNow } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useLanguage, useText } from '../../i18n';
import { isPlain, RobotDialog, RobotSecretView } from './RobotDialog';

interface Asked {
  change: (robot: Robot) => void;
  show: (made: RobotSecret) => void;
}

function Actions({ home, robot, asked }: { home: string; robot: Robot; asked: Asked }) {
  const t = useText();
  const confirm = useConfirm();
  const name = robot.name;
  const ask = (what: 'rotate' | 'disable' | 'delete', run: () => Promise<void>) =>
    confirm({ title: t(`robot.${what}_title`, { name }), consequence: t(`robot.${what}_hint`), ok: t(`robot.${what}`), run });
  const items = [
    { key: 'change', label: t('robot.change'), disabled: !isPlain(robot.grants), onClick: () => asked.change(robot) },
    { key: 'rotate', label: t('robot.rotate'), onClick: () => ask('rotate', async () => asked.show(await rotateRobot(home, name))) },
    robot.disabled
      ? { key: 'disabled', label: t('admin.enable'), onClick: () => void changeRobot(home, name, { disabled: false }) }
      : { key: 'disabled', label: t('robot.disable'), onClick: () => ask('disable', () => changeRobot(home, name, { disabled: true })) },
    { type: 'divider' as const },
    { key: 'delete', label: t('robot.delete'), danger: true, onClick: () => ask('delete', () => deleteRobot(home, name)) },
  ];
  return (
    <Dropdown trigger={['click']} menu={{ items }}>
      <Button type="text" icon={<MoreOutlined />} aria-label={t('admin.actions', { name })} />
    </Dropdown>
  );
}

function Ends({ robot }: { robot: Robot }) {
  const { language, t } = useLanguage();
  const now = useNow(60_000);
  if (robot.disabled) {
    return <Tag className="state state-waiting">{t('admin.disabled')}</Tag>;
  }
  if (!robot.expires_at) {
    return <span>{t('account.never')}</span>;
  }
  return new Date(robot.expires_at).getTime() < now ? (
    <Tag className="state state-bad">{t('account.expired')}</Tag>
  ) : (
    <time dateTime={robot.expires_at}>{dateTime(robot.expires_at, language)}</time>
  );
}

function Rights({ robot }: { robot: Robot }) {
  const t = useText();
  return robot.grants.map((g) => (
    <div key={g.project}>
      {robot.project === null && <strong className="break">{g.project === '*' ? t('robot.everywhere') : g.project} </strong>}
      {g.permissions.map((p) => (
        <Tag key={p} className="mono">
          {p}
        </Tag>
      ))}
    </div>
  ));
}

function RobotTable({ home, asked }: { home: string; asked: Asked }) {
  const t = useText();
  const param = home ? 'robot' : 'q';
  const [q] = useParam(param);
  const robots = useRobots(home, q);
  if (robots.error) {
    return <ErrorView error={robots.error} retry={() => void robots.refetch()} />;
  }
  return (
    <>
      {(robots.items.length > 10 || q !== '') && (
        <div className="above-list">
          <FilterBox name={param} label={t('admin.filter_name')} />
        </div>
      )}
      <PagedTable<Robot>
        rowKey="name"
        size={home ? 'small' : undefined}
        pages={robots}
        locale={{ emptyText: t('robot.none') }}
        columns={[
          {
            title: t('admin.name'),
            dataIndex: 'name',
            render: (_, r) => (
              <>
                <strong className="break mono">{r.login}</strong>
                {r.description && <div className="secondary break">{r.description}</div>}
                <div className={home ? undefined : 'narrow-line'}>
                  <Rights robot={r} />
                </div>
              </>
            ),
          },
          ...(home ? [] : [{ title: t('account.scopes'), key: 'rights', responsive: ['md' as const], render: (_: unknown, r: Robot) => <Rights robot={r} /> }]),
          { title: t('account.expires'), key: 'ends', width: home ? 120 : 190, render: (_: unknown, r: Robot) => <Ends robot={r} /> },
          { title: t('admin.last_seen'), dataIndex: 'last_seen_at', width: 120, responsive: ['lg' as const], render: (at: string | null) => <Ago at={at} /> },
          {
            title: <span className="sr-only">{t('admin.actions_head')}</span>,
            key: 'actions',
            width: 56,
            render: (_: unknown, r: Robot) => <Actions home={home} robot={r} asked={asked} />,
          },
        ]}
      />
    </>
  );
}

function useRobotDialogs(home: string) {
  const t = useText();
  const [dialog, setDialog] = useState<{ robot: Robot | null } | null>(null);
  const [made, setMade] = useState<RobotSecret | null>(null);
  return {
    asked: { change: (robot: Robot) => setDialog({ robot }), show: setMade },
    button: (
      <Button type={home ? 'default' : 'primary'} icon={<PlusOutlined />} onClick={() => setDialog({ robot: null })}>
        {t('robot.new')}
      </Button>
    ),
    open: (
      <>
        {dialog && <RobotDialog home={home} robot={dialog.robot} close={() => setDialog(null)} />}
        {made && <RobotSecretView made={made} close={() => setMade(null)} />}
      </>
    ),
  };
}

export function ProjectRobots({ project }: { project: string }) {
  const t = useText();
  const { asked, button, open } = useRobotDialogs(project);
  return (
    <Card title={t('robot.robots')} extra={button}>
      <Typography.Paragraph type="secondary">{t('robot.hint')}</Typography.Paragraph>
      <RobotTable home={project} asked={asked} />
      {open}
    </Card>
  );
}

export default function Robots() {
  const t = useText();
  const { asked, button, open } = useRobotDialogs('');
  return (
    <>
      <PageHead
        title={t('robot.robots')}
        commands={[
          { cli: 'strata robot list --system', url: '/api/v1/robots' },
          {
            cli: "strata robot create NAME --system --in '*' --allow image:pull",
            method: 'POST',
            url: '/api/v1/robots',
            body: { name: 'NAME', grants: [{ project: '*', permissions: ['image:pull'] }] },
          },
        ]}
        actions={button}
      />
      <Typography.Paragraph type="secondary">{t('robot.system_hint')}</Typography.Paragraph>
      <RobotTable home="" asked={asked} />
      {open}
    </>
  );
}
