// What happened, why, and what to do next.
import { Alert, Flex } from 'antd';
import { Link } from 'react-router-dom';
import type { Job } from '../../../api/types';
import { useSession } from '../../../app/session';
import { LinkButton } from '../../../components/LinkButton';
import { useServerText, useText } from '../../../i18n';
import { explain, serverWords } from './explain';

export function Ending({ job }: { job: Job }) {
  const t = useText();
  const say = useServerText();
  const { may } = useSession();
  const x = explain(job);
  const here = `/p/${encodeURIComponent(job.project)}/jobs`;
  const words = serverWords(job);
  const mayRun = may('job:submit', job.project);
  return (
    <Alert
      type={x.tone}
      showIcon
      className="ending"
      title={t(x.what, x.values)}
      description={
        <Flex vertical gap={6} align="start">
          {x.why && <span>{t(x.why, x.values)}</span>}
          {words && (
            <span className="secondary mono" title={words}>
              {say(words)}
            </span>
          )}
          {x.next && <span>{t(x.next, x.values)}</span>}
          <Flex gap={8} wrap>
            {x.memory && mayRun && (
              <LinkButton type="primary" size="small" to={`${here}/new?from=${job.id}&memory=${x.memory}`}>
                {t('jobs.again_with', { memory: x.memory })}
              </LinkButton>
            )}
            {x.wantsLog && <Link to={`${here}/${job.id}?tab=log`}>{t('jobs.see_log')}</Link>}
          </Flex>
        </Flex>
      }
    />
  );
}
