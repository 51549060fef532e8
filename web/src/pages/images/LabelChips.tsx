// Labels as chips: to see, to filter by, and to put on an image and take off. The colour is a dot: text stays readable on any.
import { App, Flex, Select, Tag as Chip } from 'antd';
import { setImageLabel, useAllLabels, useImageLabels, type ImageOf } from '../../api/labels';
import type { ApiError } from '../../api/client';
import type { ImageLabel } from '../../api/types';
import { useSession } from '../../app/session';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';

const MAX_ASKED = 10; // what the server takes

export function LabelChip({ label, remove }: { label: Pick<ImageLabel, 'name' | 'color'>; remove?: () => void }) {
  const t = useText();
  return (
    <Chip closable={remove && { 'aria-label': t('labels.take', { name: label.name }) }} onClose={(e) => (e.preventDefault(), remove?.())} className="label-chip">
      <span className="label-dot" style={{ background: label.color }} aria-hidden />
      {label.name}
    </Chip>
  );
}

export const LabelChips = ({ labels }: { labels: ImageLabel[] }) => labels.map((l) => <LabelChip key={l.id} label={l} />);

/** The names that a project knows, once each. */
export function useLabelNames(project: string): string[] {
  const all = useAllLabels(project).data?.items ?? [];
  return [...new Set(all.map((l) => l.name))];
}

/** What is chosen stands in the address. */
export function LabelFilter({ project }: { project: string }) {
  const t = useText();
  const names = useLabelNames(project);
  const [chosen, choose] = useParam('label');
  if (names.length === 0 && !chosen) {
    return null;
  }
  return (
    <Select
      mode="multiple"
      allowClear
      className="label-filter"
      maxCount={MAX_ASKED}
      value={chosen ? chosen.split(',') : []}
      onChange={(all: string[]) => choose(all.join(','))}
      options={names.map((value) => ({ value, label: value }))}
      placeholder={t('labels.filter')}
      aria-label={t('labels.filter')}
    />
  );
}

/** Of one image: who may push may change them. */
export function ImageLabels({ of }: { of: ImageOf }) {
  const t = useText();
  const { message } = App.useApp();
  const { may } = useSession();
  const mine = useImageLabels(of).data?.items ?? [];
  const names = useLabelNames(of.project).filter((n) => !mine.some((l) => l.name === n));
  const mayChange = may('image:push', of.project);
  const change = (name: string, has: boolean) => void setImageLabel(of, name, has).catch((e: ApiError) => void message.error(e.message));
  if (mine.length === 0 && (!mayChange || names.length === 0)) {
    return null;
  }
  return (
    <Flex gap={4} wrap align="center" role="group" aria-label={t('labels.title')}>
      {mine.map((l) => (
        <LabelChip key={l.id} label={l} remove={mayChange ? () => change(l.name, false) : undefined} />
      ))}
      {mayChange && names.length > 0 && (
        <Select
          size="small"
          showSearch
          className="label-add"
          value={null}
          onChange={(name: string | null) => name && change(name, true)}
          options={names.map((value) => ({ value, label: value }))}
          placeholder={t('labels.add')}
          aria-label={t('labels.add')}
        />
      )}
    </Flex>
  );
}
