// A job as a form. What it shows and changes is the YAML text (spec.ts).
import { Collapse, Form, Input, Segmented } from 'antd';
import { useEffect, useState } from 'react';
import type { Mistake } from '../../../api/client';
import { useText } from '../../../i18n';
import { Amounts } from './Amounts';
import { CommandField } from './CommandField';
import type { Known } from './complete';
import { Field, mistakesOf } from './Field';
import { ImageField } from './ImageField';
import { EnvRows, SecretRows, VolumeRows } from './Rows';
import type { FormSpec } from './spec';

interface Props {
  project: string;
  form: FormSpec;
  onChange: (form: FormSpec) => void;
  mistakes: Mistake[];
  known: Known;
}

const ADVANCED = 'args workdir network timeout grace retries resources.pids';

/** A word of the form in an input of its own. */
function Short({ of, label, hint, placeholder, ...p }: Omit<Props, 'project' | 'known'> & { of: 'name' | 'workdir' | 'timeout' | 'grace' | 'retries' | 'pids'; label: string; hint?: string; placeholder?: string }) {
  const id = `job-${of}`;
  return (
    <Field label={label} id={id} keys={of === 'pids' ? 'resources.pids' : of} mistakes={p.mistakes} hint={hint}>
      <Input id={id} value={p.form[of]} placeholder={placeholder} onChange={(e) => p.onChange({ ...p.form, [of]: e.target.value.trim() })} autoComplete="off" />
    </Field>
  );
}

function Advanced(p: Props) {
  const t = useText();
  const { form, onChange, mistakes } = p;
  return (
    <>
      <Field label={t('jobs.args')} id="job-args" keys="args" mistakes={mistakes} hint={t('jobs.args_hint')}>
        <CommandField id="job-args" value={form.args} onChange={(args) => onChange({ ...form, args })} placeholder="--help" label={t('jobs.args')} />
      </Field>
      <Field label={t('jobs.network')} keys="network" mistakes={mistakes}>
        <Segmented
          aria-label={t('jobs.network')}
          value={form.network || 'none'}
          onChange={(network) => onChange({ ...form, network: network === 'none' ? '' : network })}
          options={(['none', 'bridge', 'host'] as const).map((value) => ({ value, label: t(`jobs.network_${value}`) }))}
        />
      </Field>
      <div className="form-grid">
        <Short {...p} of="timeout" label={t('jobs.timeout')} placeholder={t('jobs.no_timeout')} hint={t('jobs.timeout_hint')} />
        <Short {...p} of="grace" label={t('jobs.grace')} placeholder="10s" hint={t('jobs.grace_hint')} />
        <Short {...p} of="retries" label={t('jobs.retries')} placeholder="0" hint={t('jobs.retries_hint')} />
        <Short {...p} of="workdir" label={t('jobs.workdir')} placeholder={t('jobs.of_image')} />
        <Short {...p} of="pids" label={t('jobs.pids')} placeholder="1024" />
      </div>
    </>
  );
}

export function SpecForm(p: Props) {
  const t = useText();
  const { form, onChange, mistakes, known } = p;
  const change = (part: Partial<FormSpec>) => onChange({ ...form, ...part });
  const [open, setOpen] = useState(() =>
    Boolean(form.network || form.timeout || form.grace || form.retries || form.workdir || form.pids || form.args.length),
  );
  useEffect(() => {
    if (ADVANCED.split(' ').some((k) => mistakesOf(mistakes, k).length > 0)) {
      setOpen(true);
    }
  }, [mistakes]);
  return (
    <Form layout="vertical" component="div" className="spec-form">
      <Field label={t('jobs.image')} id="job-image" keys="image" mistakes={mistakes} hint={t('jobs.image_hint')}>
        <ImageField id="job-image" project={p.project} value={form.image} onChange={(image) => change({ image })} />
      </Field>
      <Field label={t('jobs.command')} id="job-command" keys="command" mistakes={mistakes} hint={t('jobs.command_hint')}>
        <CommandField id="job-command" value={form.command} onChange={(command) => change({ command })} placeholder="strata-ml chain …" label={t('jobs.command')} />
      </Field>
      <Short form={form} onChange={onChange} mistakes={mistakes} of="name" label={t('jobs.name')} placeholder={t('jobs.name_hint')} />
      <div className="form-grid">
        <Amounts form={form} change={change} mistakes={mistakes} />
      </div>
      <Field label={t('search.volumes')} keys="volumes" mistakes={mistakes} hint={known.volumes.length === 0 ? t('jobs.no_volumes_hint') : t('jobs.volumes_hint')}>
        <VolumeRows rows={form.volumes} onChange={(volumes) => change({ volumes })} names={known.volumes} />
      </Field>
      <Field label={t('jobs.env')} keys="env" mistakes={mistakes}>
        <EnvRows rows={form.env} onChange={(env) => change({ env })} />
      </Field>
      <Field label={t('jobs.secrets')} keys="secrets" mistakes={mistakes} hint={t('jobs.secrets_hint')}>
        <SecretRows rows={form.secrets} onChange={(secrets) => change({ secrets })} names={known.secrets} />
      </Field>
      <Collapse
        ghost
        activeKey={open ? ['advanced'] : []}
        onChange={(keys) => setOpen(keys.length > 0)}
        items={[{ key: 'advanced', label: t('jobs.advanced'), children: <Advanced {...p} /> }]}
      />
    </Form>
  );
}
