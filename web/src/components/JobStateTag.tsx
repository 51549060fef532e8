// A job's state: colour, shape and word, so that nobody needs to see colours.
import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  LoadingOutlined,
  QuestionCircleOutlined,
  StopOutlined,
} from '@ant-design/icons';
import type { ReactNode } from 'react';
import type { JobState } from '../api/types';
import { useText } from '../i18n';

const LOOKS: Record<JobState, { tone: string; icon: ReactNode }> = {
  queued: { tone: 'waiting', icon: <ClockCircleOutlined /> },
  starting: { tone: 'active', icon: <LoadingOutlined /> },
  running: { tone: 'active', icon: <LoadingOutlined /> },
  succeeded: { tone: 'good', icon: <CheckCircleOutlined /> },
  failed: { tone: 'bad', icon: <CloseCircleOutlined /> },
  cancelled: { tone: 'waiting', icon: <StopOutlined /> },
  lost: { tone: 'bad', icon: <QuestionCircleOutlined /> },
};

export function JobStateTag({ state }: { state: JobState }) {
  const t = useText();
  const look = LOOKS[state];
  return (
    <span className={`state state-${look.tone}`}>
      {look.icon}
      {t(`state.${state}`)}
    </span>
  );
}
