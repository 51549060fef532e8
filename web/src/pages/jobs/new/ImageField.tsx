// An image of this project or of library: first the repository, then its tag; or whatever one types.
import { AutoComplete } from 'antd';
import { useState, type ReactNode } from 'react';
import { filePath, path, type Page } from '../../../api/client';
import { useGet } from '../../../api/queries';
import type { Repository, Tag } from '../../../api/types';
import { bytes } from '../../../components/format';
import { useText } from '../../../i18n';

const repositoriesUrl = (project: string) => path`/api/v1/projects/${project}/repositories` + '?limit=1000';

function useRepositories(project: string): string[] {
  const own = useGet<Page<Repository>>(['images', project, 'repositories', 'all'], repositoriesUrl(project)).data;
  const shared = useGet<Page<Repository>>(['images', 'library', 'repositories', 'all'], repositoriesUrl('library'), project !== 'library').data;
  return [
    ...(own?.items ?? []).map((r) => `${project}/${r.name}`),
    ...(shared?.items ?? []).map((r) => `library/${r.name}`),
  ];
}

/** Tags of "project/repository". */
function useTags(name: string | null): Tag[] {
  const slash = name?.indexOf('/') ?? -1;
  const project = name?.slice(0, slash) ?? '';
  const repository = name?.slice(slash + 1) ?? '';
  const url = `/api/v1/projects/${encodeURIComponent(project)}/repositories/${filePath(repository)}/tags?limit=1000`;
  return useGet<Page<Tag>>(['images', project, 'tags', repository, 'all'], url, slash > 0).data?.items ?? [];
}

interface Choice {
  label: ReactNode;
  value?: string;
  options?: Choice[];
}

/** For the editor: names with the tag most people want. */
export const useImageNames = (project: string): string[] => useRepositories(project).map((r) => `${r}:latest`);

export function ImageField({ project, value, onChange, id }: { project: string; value: string; onChange: (v: string) => void; id: string }) {
  const t = useText();
  const [open, setOpen] = useState(false);
  const repositories = useRepositories(project);
  const repository = repositories.find((r) => value === r || value.startsWith(`${r}:`)) ?? null;
  const tags = useTags(repository);
  const typed = value.toLowerCase();
  const isTag = repository !== null && value !== repository;
  const options: Choice[] = isTag
    ? tags
        .filter((g) => `${repository}:${g.tag}`.startsWith(value))
        .map((g) => ({ value: `${repository}:${g.tag}`, label: <span>{g.tag} <span className="secondary">{bytes(g.size_bytes)} {g.platform}</span></span> }))
    : [project, 'library']
        .map((p) => ({
          label: p,
          options: repositories
            .filter((r) => r.startsWith(`${p}/`) && r.toLowerCase().includes(typed))
            .map((r): Choice => ({ value: `${r}:`, label: r.slice(p.length + 1) })),
        }))
        .filter((g, i, all) => g.options.length > 0 && all.findIndex((o) => o.label === g.label) === i);
  return (
    <AutoComplete
      id={id}
      value={value}
      open={open}
      onOpenChange={setOpen}
      onChange={onChange}
      onSelect={(v: string) => v.endsWith(':') && setTimeout(() => setOpen(true), 0)}
      options={options}
      placeholder="library/strata-ml:latest"
      notFoundContent={value === '' && repositories.length === 0 ? t('jobs.no_images') : null}
      style={{ width: '100%' }}
    />
  );
}
