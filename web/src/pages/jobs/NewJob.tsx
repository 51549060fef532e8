// Submitting a job: by form or as YAML, both ways at any time; what the server finds wrong stands at its place.
import { App, Alert, Button, Card, Flex, Segmented, Skeleton, Typography } from 'antd';
import { lazy, Suspense, useMemo, useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router-dom';
import { api, ApiError, path, type Mistake, type Page } from '../../api/client';
import { jobsUrl, useJob } from '../../api/jobs';
import { queryClient, useGet } from '../../api/queries';
import type { Job, Volume } from '../../api/types';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { OWN } from '../../components/work';
import { useServerText, useText } from '../../i18n';
import './jobs.css';
import type { Known } from './new/complete';
import { useDraft, written } from './new/draft';
import { useImageNames } from './new/ImageField';
import { SpecForm } from './new/SpecForm';
import { readForm, writeForm, yamlOf, type FormSpec } from './new/spec';
import { useParam } from './params';

const YamlEditor = lazy(() => import('./new/YamlEditor'));

function useKnown(project: string): Known {
  const { may } = useSession();
  const volumes = useGet<Page<Volume>>(['volumes', project, 'all'], path`/api/v1/projects/${project}/volumes` + '?limit=1000').data;
  const secrets = useGet<Page<{ name: string }>>(
    ['secrets', project, 'all'],
    path`/api/v1/projects/${project}/secrets` + '?limit=1000',
    may('secret:read', project),
  ).data;
  const images = useImageNames(project);
  return useMemo(
    () => ({ images, volumes: volumes?.items.map((v) => v.name) ?? [], secrets: secrets?.items.map((s) => s.name) ?? [] }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- images is made anew each time
    [images.join(), volumes, secrets],
  );
}

/** What the server found, for those who do not see its place, or when it has none. */
function Mistakes({ mistakes }: { mistakes: Mistake[] }) {
  const t = useText();
  const say = useServerText();
  return mistakes.length === 0 ? null : (
    <Alert
      role="alert"
      type="error"
      showIcon
      title={t('jobs.mistakes', { n: mistakes.length })}
      description={
        <ul className="plain">
          {mistakes.map((m) => (
            <li key={`${m.line}:${m.column}:${m.key}`}>
              {m.line > 0 && <span className="secondary">{t('jobs.line', { n: m.line })} </span>}
              {m.key && <code>{m.key}</code>} <span title={m.message}>{say(m.message)}</span>
            </li>
          ))}
        </ul>
      }
    />
  );
}

const WITHOUT: Record<string, string> = { 'resources.cpu': 'cpu', 'resources.memory': 'memory', 'resources.gpu': 'gpu', 'resources.pids': 'pids' };

/** Mistakes of fields that were changed since are gone. */
function stillThere(mistakes: Mistake[], before: FormSpec, now: FormSpec): Mistake[] {
  return mistakes.filter((m) => {
    const key = (WITHOUT[m.key] ?? m.key.replace(/[.[].*$/, '')) as keyof FormSpec;
    return before[key] === now[key];
  });
}

function Writer({ project, from, original }: { project: string; from: string; original: string }) {
  const t = useText();
  const navigate = useNavigate();
  const { message } = App.useApp();
  const [tab, setTab] = useParam('tab');
  const known = useKnown(project);
  const { draft, wasKept, editForm, editText, restart, forget } = useDraft(`${OWN}draft.${project}.${from}`, original);
  const [error, setError] = useState<ApiError | null>(null);
  const [mistakes, setMistakes] = useState<Mistake[]>([]);
  const [busy, setBusy] = useState(false);

  const submit = async () => {
    setBusy(true);
    setError(null);
    setMistakes([]);
    const { text } = written(draft);
    try {
      const job = await api<Job>('POST', jobsUrl(project), { text, type: 'application/yaml' });
      forget();
      queryClient.setQueryData(['jobs', project, 'one', job.id], job);
      void queryClient.invalidateQueries({ queryKey: ['joblist', project] });
      void message.success(t('jobs.submitted', { name: job.name }));
      navigate(`/p/${encodeURIComponent(project)}/jobs/${job.id}`, { replace: true });
    } catch (e) {
      if (e instanceof ApiError && e.mistakes.length > 0) {
        setMistakes(e.mistakes);
      } else if (e instanceof ApiError && e.original.startsWith('image: ')) {
        setMistakes([{ line: lineOf(text, 'image'), column: 1, key: 'image', message: e.original.slice('image: '.length) }]);
      } else if (!(e instanceof ApiError && e.status === 401)) {
        setError(e as ApiError); // 401: the dialog to sign in again is there
      }
      setBusy(false);
    }
  };
  const isYaml = tab === 'yaml';
  return (
    <Flex vertical gap={12} className="writer">
      <Flex gap={12} wrap align="center" justify="space-between">
        <Segmented
          aria-label={t('jobs.write_as')}
          value={isYaml ? 'yaml' : 'form'}
          onChange={(v) => setTab(v === 'yaml' ? 'yaml' : '')}
          options={[
            { value: 'form', label: t('jobs.as_form') },
            { value: 'yaml', label: t('jobs.as_yaml') },
          ]}
        />
        {draft.text !== original && (
          <Button type="text" onClick={() => (restart(original), setMistakes([]))}>
            {t('jobs.start_afresh')}
          </Button>
        )}
      </Flex>
      {wasKept && <Typography.Text type="secondary">{t('jobs.kept')}</Typography.Text>}
      {error && <ErrorView error={error} />}
      <Mistakes mistakes={mistakes} />
      {isYaml ? (
        <Suspense fallback={<Skeleton active title={false} paragraph={{ rows: 10 }} />}>
          <YamlEditor value={draft.text} onChange={editText} mistakes={mistakes} known={known} onSubmit={() => void submit()} />
        </Suspense>
      ) : draft.isReadable ? (
        <Card>
          <SpecForm
            project={project}
            form={draft.form}
            onChange={(form) => {
              setMistakes(stillThere(mistakes, draft.form, form));
              editForm(form);
            }}
            mistakes={mistakes}
            known={known}
          />
        </Card>
      ) : (
        <Alert
          type="warning"
          showIcon
          title={t('jobs.not_yaml')}
          description={t('jobs.not_yaml_hint')}
          action={<Button onClick={() => setTab('yaml')}>{t('jobs.as_yaml')}</Button>}
        />
      )}
      <Flex gap={8} className="submit-bar">
        <Button type="primary" size="large" loading={busy} disabled={draft.text.trim() === '' && draft.form === draft.written} onClick={() => void submit()}>
          {t('jobs.submit')}
        </Button>
        <Button size="large" onClick={() => navigate(`/p/${encodeURIComponent(project)}/jobs`)}>
          {t('action.cancel')}
        </Button>
      </Flex>
    </Flex>
  );
}

function lineOf(text: string, key: string): number {
  return text.split('\n').findIndex((l) => l.startsWith(`${key}:`)) + 1;
}

export default function NewJob() {
  const t = useText();
  const { project = '' } = useParams();
  const [params] = useSearchParams();
  const { may } = useSession();
  const from = params.get('from') ?? '';
  const memory = params.get('memory') ?? '';
  const job = useJob(project, from);
  const original = useMemo(() => {
    if (from === '') {
      return '';
    }
    const text = job.data?.spec ? yamlOf(job.data.spec) : null;
    const form = text !== null && memory ? readForm(text) : null;
    return form && text !== null ? writeForm(text, form, { ...form, memory }) : text;
  }, [from, job.data?.spec, memory]);
  const list = `/p/${encodeURIComponent(project)}/jobs`;
  return (
    <>
      <PageHead
        title={from ? t('jobs.clone_title') : t('jobs.submit_title')}
        crumbs={[{ name: project }, { name: t('nav.jobs'), to: list }, { name: from ? t('jobs.clone_of', { id: from }) : t('jobs.new') }]}
        commands={[{ cli: `strata job submit -f job.yaml -p ${project}`, method: 'POST', url: jobsUrl(project), file: 'job.yaml', type: 'application/yaml' }]}
      />
      {!may('job:submit', project) ? (
        <Alert type="warning" showIcon title={t('error.forbidden')} description={t('jobs.may_not_submit')} />
      ) : job.error && from ? (
        <ErrorView error={job.error} retry={() => void job.refetch()} />
      ) : original === null ? (
        <Skeleton active title={false} paragraph={{ rows: 8 }} />
      ) : (
        <Writer key={project + from + memory} project={project} from={from + memory} original={original} />
      )}
    </>
  );
}
