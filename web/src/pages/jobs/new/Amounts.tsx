// CPU, memory, GPU: sliders that know what there is, and a field for any other amount.
import { Flex, Input, Slider, Typography } from 'antd';
import type { Mistake } from '../../../api/client';
import { useNodes } from '../../../api/queries';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';
import { bytesOf, cores, cpuSteps, largest, memorySteps, nearest } from './amounts';
import { Field } from './Field';
import type { FormSpec } from './spec';

interface Props {
  form: FormSpec;
  change: (part: Partial<FormSpec>) => void;
  mistakes: Mistake[];
}

interface AmountProps {
  id: string;
  label: string;
  value: string;
  normal: string;
  steps: string[];
  of: (s: string) => number;
  most: number;
  there: string;
  tooMuch: string;
  onChange: (v: string) => void;
}

function Amount(p: AmountProps) {
  const shown = p.value || p.normal;
  const amount = p.of(shown);
  return (
    <>
      <Flex gap={12} align="center">
        {p.steps.length > 1 && (
          <Slider
            style={{ flex: 1 }}
            min={0}
            max={p.steps.length - 1}
            value={nearest(p.steps, amount, p.of)}
            onChange={(i: number) => p.onChange(p.steps[i] as string)}
            tooltip={{ formatter: (i) => p.steps[i ?? 0] }}
            ariaLabelForHandle={p.label}
            ariaValueTextFormatterForHandle={(i) => p.steps[i] ?? ''}
          />
        )}
        <Input id={p.id} style={{ width: 96 }} value={p.value} placeholder={p.normal} onChange={(e) => p.onChange(e.target.value.trim())} />
      </Flex>
      <Typography.Text type={p.most > 0 && amount > p.most ? 'danger' : 'secondary'} className="small">
        {p.most > 0 && amount > p.most ? p.tooMuch : p.there}
      </Typography.Text>
    </>
  );
}

export function Amounts({ form, change, mistakes }: Props) {
  const t = useText();
  const m = largest(useNodes().data?.items ?? []);
  const all = { cpu: String(m.cpu), memory: bytes(m.memory), gpu: String(m.gpus) };
  const gpuSteps = Array.from({ length: m.gpus + 1 }, (_, i) => String(i));
  return (
    <>
      <Field label="CPU" id="job-cpu" keys="resources.cpu" mistakes={mistakes}>
        <Amount
          id="job-cpu" label="CPU" value={form.cpu} normal="1" steps={cpuSteps(m.cpu)} of={cores} most={m.cpu}
          there={t('jobs.there', { free: String(m.cpuFree), all: all.cpu })} tooMuch={t('jobs.too_much', { all: all.cpu })}
          onChange={(cpu) => change({ cpu })}
        />
      </Field>
      <Field label={t('overview.memory')} id="job-memory" keys="resources.memory" mistakes={mistakes}>
        <Amount
          id="job-memory" label={t('overview.memory')} value={form.memory} normal="512Mi" steps={memorySteps(m.memory)} of={bytesOf} most={m.memory}
          there={t('jobs.there', { free: bytes(m.memoryFree), all: all.memory })} tooMuch={t('jobs.too_much', { all: all.memory })}
          onChange={(memory) => change({ memory })}
        />
      </Field>
      {(m.gpus > 0 || form.gpu !== '') && (
        <Field label="GPU" id="job-gpu" keys="resources.gpu" mistakes={mistakes}>
          <Amount
            id="job-gpu" label="GPU" value={form.gpu} normal="0" steps={gpuSteps} of={Number} most={Math.max(m.gpus, 0.5)}
            there={t('jobs.there', { free: String(m.gpusFree), all: all.gpu })} tooMuch={t('jobs.too_much', { all: all.gpu })}
            onChange={(gpu) => change({ gpu: gpu === '0' ? '' : gpu })}
          />
        </Field>
      )}
    </>
  );
} // prettier-ignore
