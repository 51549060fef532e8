// A shell in the job, on the job's page: opened by hand, told why it ended, opened again.
import { CodeOutlined, DisconnectOutlined } from '@ant-design/icons';
import { Alert, Button, Flex, Switch, Tag } from 'antd';
import { useCallback, useEffect, useRef, useState } from 'react';
import { jobUrl } from '../../../api/jobs';
import type { Job } from '../../../api/types';
import { useAppearance } from '../../../app/theme';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';
import { Screen, themeOf } from './screen';
import { Shell, type End } from './shell';

const READER = 'strata.terminal.reader';

type Phase = 'none' | 'connecting' | 'open' | 'ended';

function EndAlert({ end }: { end: End }) {
  const t = useText();
  switch (end.kind) {
    case 'exit':
      return <Alert showIcon type={end.code === 0 ? 'success' : 'warning'} title={t('jobs.term_exit', { code: end.code })} />;
    case 'told':
      return <Alert showIcon type="warning" title={t('jobs.term_ended')} description={end.message} />;
    default:
      return <Alert showIcon type="error" title={t('jobs.term_cut')} description={t('jobs.term_cut_hint')} />;
  }
}

/** Why no shell can be opened now; '' when one can. */
function useReason(job: Job): string {
  const t = useText();
  switch (job.state) {
    case 'running':
      return '';
    case 'queued':
    case 'starting':
      return t('jobs.term_not_yet');
    default:
      return t('jobs.term_over');
  }
}

export default function TerminalTab({ job }: { job: Job }) {
  const t = useText();
  const { dark } = useAppearance();
  const box = useRef<HTMLDivElement>(null);
  const screen = useRef<Screen | null>(null);
  const shell = useRef<Shell | null>(null);
  const again = useRef<HTMLButtonElement>(null);
  const [phase, setPhase] = useState<Phase>('none');
  const [end, setEnd] = useState<End | null>(null);
  const [forReader, setForReader] = useState(() => localStorage.getItem(READER) === '1');
  const reason = useReason(job);

  useEffect(() => {
    if (screen.current) {
      screen.current.terminal.options.theme = themeOf(dark);
    }
  }, [dark]);
  useEffect(() => {
    localStorage.setItem(READER, forReader ? '1' : '0');
    if (screen.current) {
      screen.current.terminal.options.screenReaderMode = forReader;
    }
  }, [forReader]);
  useEffect(
    () => () => {
      shell.current?.close();
      screen.current?.close();
    },
    [],
  );

  const open = useCallback(() => {
    screen.current?.close(); // and what it had not drawn yet
    screen.current = new Screen(
      box.current as HTMLDivElement,
      { isDark: dark, forReader, label: t('jobs.term_label'), skippedText: (n) => t('jobs.term_skipped', { size: bytes(n) }) },
      {
        typed: (text) => shell.current?.type(text),
        typedBinary: (text) => shell.current?.typeBinary(text),
        resized: (columns, rows) => shell.current?.resize(columns, rows),
        left: () => again.current?.focus(),
      },
    );
    const { terminal } = screen.current;
    setEnd(null);
    setPhase('connecting');
    const mine = new Shell(`${jobUrl(job.project, job.id)}/exec?tty=true&stdin=true`, {
      opened: () => {
        setPhase('open');
        mine.resize(terminal.cols, terminal.rows);
        terminal.focus();
      },
      output: (b) => screen.current?.write(b),
      ended: (how) => {
        shell.current = null;
        setEnd(how);
        setPhase('ended');
      },
    });
    shell.current = mine;
  }, [dark, forReader, t, job.project, job.id]);
  const hangUp = () => {
    shell.current?.close();
    shell.current = null;
    setPhase('none');
  };

  const isOn = phase === 'open' || phase === 'connecting';
  return (
    <Flex vertical gap={12}>
      <Flex wrap gap={12} align="center">
        {isOn ? (
          <Button ref={again} icon={<DisconnectOutlined />} onClick={hangUp}>
            {t('jobs.term_close')}
          </Button>
        ) : (
          <Button ref={again} type="primary" icon={<CodeOutlined />} disabled={reason !== ''} onClick={open}>
            {phase === 'none' ? t('jobs.term_open') : t('jobs.term_again')}
          </Button>
        )}
        <span aria-live="polite">
          {phase === 'connecting' && <Tag>{t('jobs.term_connecting')}</Tag>}
          {phase === 'open' && <Tag color="success">{t('jobs.term_connected')}</Tag>}
          {!isOn && reason}
        </span>
        <label className="switch">
          <Switch size="small" checked={forReader} onChange={setForReader} />
          {t('jobs.term_reader')}
        </label>
        <span className="quiet small">{t('jobs.term_keys')}</span>
      </Flex>
      {end && <EndAlert end={end} />}
      <div ref={box} className="terminal-box" hidden={phase === 'none' && !screen.current} />
    </Flex>
  );
}
