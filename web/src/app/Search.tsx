// Search over everything one may see; "/" from anywhere.
import { SearchOutlined } from '@ant-design/icons';
import { AutoComplete, Input, type InputRef } from 'antd';
import { useDeferredValue, useMemo, useRef, useState } from 'react';
import { useLocation, useNavigate } from 'react-router-dom';
import { get, path, type Page } from '../api/client';
import { queryClient, useProjects } from '../api/queries';
import type { Job, Repository, Volume } from '../api/types';
import { recent } from '../components/recent';
import { useText, type Key } from '../i18n';
import { NAVIGATION } from './Frame';
import { useKeys } from './keys';
import { useProjectName } from './project';
import { useSession } from './session';

interface Hit {
  group: Key;
  name: string;
  to: string;
}

/** What the current project holds; read when the search is opened. */
async function hitsOf(project: string): Promise<Hit[]> {
  const p = encodeURIComponent(project);
  const read = <T,>(url: string) => get<Page<T>>(url).then((page) => page.items, () => [] as T[]);
  const [jobs, volumes, repositories] = await Promise.all([
    read<Job>(path`/api/v1/projects/${project}/jobs` + '?limit=1000'),
    read<Volume>(path`/api/v1/projects/${project}/volumes` + '?limit=1000'),
    read<Repository>(path`/api/v1/projects/${project}/repositories` + '?limit=1000'),
  ]);
  return [
    ...volumes.map((v): Hit => ({ group: 'search.volumes', name: v.name, to: `/p/${p}/data/${encodeURIComponent(v.name)}` })),
    ...repositories.map((r): Hit => ({ group: 'search.repositories', name: r.name, to: `/p/${p}/images/${r.name}` })),
    ...jobs.map((j): Hit => ({ group: 'search.jobs', name: `${j.name} · ${j.id}`, to: `/p/${p}/jobs/${j.id}` })),
  ];
}

const SHOWN_OF_A_GROUP = 6;

/** Hits by group, those that begin with what was typed first. */
export function rank(hits: Hit[], typed: string): Map<Key, Hit[]> {
  const q = typed.trim().toLowerCase();
  const first: Hit[] = [];
  const others: Hit[] = [];
  for (const h of q ? hits : []) {
    const at = h.name.toLowerCase().indexOf(q);
    if (at >= 0) {
      (at === 0 ? first : others).push(h);
    }
  }
  const groups = new Map<Key, Hit[]>();
  for (const h of [...first, ...others]) {
    const list = groups.get(h.group) ?? [];
    groups.set(h.group, list.length < SHOWN_OF_A_GROUP ? [...list, h] : list);
  }
  return groups;
}

export function Search() {
  const t = useText();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const project = useProjectName();
  const { me } = useSession();
  const projects = useProjects().data?.items;
  const input = useRef<InputRef>(null);
  const [typed, setTyped] = useState('');
  const wanted = useDeferredValue(typed); // typing goes before looking
  const [inProject, setInProject] = useState<Hit[]>([]);
  const [seen, setSeen] = useState<Hit[]>([]);

  useKeys({ '/': () => input.current?.focus() });

  const groups = useMemo(() => {
    const pages = NAVIGATION.filter((n) => !n.adminOnly || me.is_admin).map(
      (n): Hit => ({ group: 'search.pages', name: t(n.label), to: n.to(project) }),
    );
    const all = (projects ?? []).map((p): Hit => ({ group: 'search.projects', name: p.name, to: `/p/${p.name}/jobs` }));
    return wanted ? rank([...pages, ...all, ...inProject], wanted) : rank(seen, '');
  }, [inProject, me, project, projects, seen, t, wanted]);

  return (
    <AutoComplete
      className="search"
      value={typed}
      onChange={setTyped}
      onFocus={() => {
        setSeen(recent().filter((s) => s.to !== pathname).map((s) => ({ group: 'search.recent', ...s })));
        void queryClient.invalidateQueries({ queryKey: ['projects'] });
        if (project) {
          void hitsOf(project).then(setInProject);
        }
      }}
      onSelect={(to: string) => {
        setTyped('');
        input.current?.blur();
        navigate(to);
      }}
      defaultActiveFirstOption
      popupMatchSelectWidth={380}
      notFoundContent={typed ? t('search.nothing') : null}
      options={[...groups].map(([group, hits]) => ({ label: t(group), options: hits.map((h) => ({ value: h.to, label: h.name })) }))}
    >
      <Input ref={input} prefix={<SearchOutlined aria-hidden />} placeholder={t('search.hint')} aria-label={t('search.title')} />
    </AutoComplete>
  );
}
