// The spec a job was made from, as one would write it.
import { CopyOutlined } from '@ant-design/icons';
import { App, Button, Flex } from 'antd';
import type { Job } from '../../../api/types';
import { useSession } from '../../../app/session';
import { LinkButton } from '../../../components/LinkButton';
import { useText } from '../../../i18n';
import { yamlOf } from '../new/spec';

export default function SpecTab({ job }: { job: Job }) {
  const t = useText();
  const { may } = useSession();
  const { message } = App.useApp();
  const text = job.spec ? yamlOf(job.spec) : '';
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      void message.success(t('action.copied'));
    } catch {
      void message.warning(t('jobs.copy_failed')); // plain http: the browser keeps the clipboard shut
    }
  };
  return (
    <Flex vertical gap={10} align="start">
      <Flex gap={8} wrap>
        <Button icon={<CopyOutlined />} onClick={() => void copy()}>
          {t('action.copy')}
        </Button>
        {may('job:submit', job.project) && (
          <LinkButton to={`/p/${encodeURIComponent(job.project)}/jobs/new?from=${job.id}&tab=yaml`}>{t('jobs.clone')}</LinkButton>
        )}
      </Flex>
      <pre className="spec mono" tabIndex={0} aria-label={t('jobs.tab_spec')}>
        {text}
      </pre>
    </Flex>
  );
}
