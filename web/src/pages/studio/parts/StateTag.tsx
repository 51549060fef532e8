// The state of a run or of a step: colour, shape and word.
import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  ForwardOutlined,
  LoadingOutlined,
  StopOutlined,
  ThunderboltOutlined,
  WarningOutlined,
} from '@ant-design/icons';
import type { ReactNode } from 'react';
import type { NodeState, RunNode, RunState } from '../../../api/studio';
import { useServerText, useText } from '../../../i18n';

const LOOKS: Record<NodeState, { tone: string; icon: ReactNode }> = {
  waiting: { tone: 'waiting', icon: <ClockCircleOutlined /> },
  queued: { tone: 'waiting', icon: <ClockCircleOutlined /> },
  running: { tone: 'active', icon: <LoadingOutlined /> },
  cached: { tone: 'good', icon: <ThunderboltOutlined /> },
  succeeded: { tone: 'good', icon: <CheckCircleOutlined /> },
  failed: { tone: 'bad', icon: <CloseCircleOutlined /> },
  skipped: { tone: 'waiting', icon: <ForwardOutlined /> },
  cancelled: { tone: 'waiting', icon: <StopOutlined /> },
};

export function StateTag({ state }: { state: RunState | NodeState }) {
  const t = useText();
  const look = LOOKS[state];
  return (
    <span className={`state state-${look.tone}`}>
      {look.icon}
      {t(`studio.state_${state}`)}
    </span>
  );
}

/** With why it was or was not taken from the cache, and what it warned of. */
export function StepState({ node }: { node: RunNode }) {
  const t = useText();
  const say = useServerText();
  const warnings = node.warnings ?? [];
  return (
    <span title={node.error ? say(node.error.message) : warnings.length > 0 ? warnings.map(say).join('\n') : node.cache ? say(node.cache.why) : undefined}>
      <StateTag state={node.state} />
      {warnings.length > 0 && <WarningOutlined className="step-warning" aria-label={t('studio.warning')} />}
    </span>
  );
}
