// Everything that happened to a job, the last first.
import { Timeline } from 'antd';
import type { Job } from '../../../api/types';
import { dateTime } from '../../../components/format';
import { JobStateTag } from '../../../components/JobStateTag';
import { Ago } from '../../../components/time';
import { useLanguage, useServerText } from '../../../i18n';

export function EventsTab({ job }: { job: Job }) {
  const { t, language } = useLanguage();
  const say = useServerText();
  const events = [...(job.history ?? [])].reverse();
  return (
    <Timeline
      className="events"
      items={events.map((e, i) => ({
        key: events.length - i,
        content: (
          <div>
            <JobStateTag state={e.state} /> <span className="anywhere" title={e.reason}>{say(e.reason)}</span>
            <div className="secondary small">
              {dateTime(e.at, language)} · <Ago at={e.at} /> · {t('jobs.attempt_n', { n: e.attempt })}
            </div>
          </div>
        ),
      }))}
    />
  );
}
