// Search over everything one may see; "/" from anywhere.
import { SearchOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { AutoComplete, Input, type InputRef } from 'antd';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useLocation, useNavigate } from 'react-router-dom';
import { get } from '../api/client';
import type { Found } from '../api/types';
import { filterText } from '../components/FilterBox';
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

const EMPTY: Found = { projects: [], volumes: [], repositories: [], jobs: [] };

/** What the server found; things of another project than this one say of which. */
function hitsOf(found: Found, here: string | null): Hit[] {
  const at = (project: string) => `/p/${encodeURIComponent(project)}`;
  const name = (project: string, text: string) => (project === here ? text : `${project} / ${text}`);
  return [
    ...found.projects.map((p): Hit => ({ group: 'search.projects', name: p.name, to: `${at(p.name)}/jobs` })),
    ...found.volumes.map((v): Hit => ({ group: 'search.volumes', name: name(v.project, v.name), to: `${at(v.project)}/data/${encodeURIComponent(v.name)}` })),
    ...found.repositories.map((r): Hit => ({ group: 'search.repositories', name: name(r.project, r.name), to: `${at(r.project)}/images/${r.name}` })),
    ...found.jobs.map((j): Hit => ({ group: 'search.jobs', name: name(j.project, `${j.name} · ${j.id}`), to: `${at(j.project)}/jobs/${j.id}` })),
  ];
}

/** What is typed, once typing rests. */
function useRested(typed: string): string {
  const [rested, setRested] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setRested(filterText(typed.trim())), typed ? 200 : 0);
    return () => clearTimeout(timer);
  }, [typed]);
  return rested;
}

/** By group, in the order they come. */
function grouped(hits: Hit[]): Map<Key, Hit[]> {
  const groups = new Map<Key, Hit[]>();
  for (const h of hits) {
    groups.set(h.group, [...(groups.get(h.group) ?? []), h]);
  }
  return groups;
}

export function Search() {
  const t = useText();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const project = useProjectName();
  const { me } = useSession();
  const input = useRef<InputRef>(null);
  const [typed, setTyped] = useState('');
  const q = useRested(typed);
  const found = useQuery<Found>({
    queryKey: ['search', q],
    queryFn: ({ signal }) => get<Found>(`/api/v1/search?q=${encodeURIComponent(q)}`, signal),
    enabled: q !== '',
    staleTime: 0,
    placeholderData: (old) => (q ? old : undefined),
  });
  const isLooking = typed.trim() !== q || found.isFetching;
  const [seen, setSeen] = useState<Hit[]>([]);

  useKeys({ '/': () => input.current?.focus() });

  const groups = useMemo(() => {
    if (!typed.trim()) {
      return grouped(seen);
    }
    const pages = NAVIGATION.filter((n) => !n.adminOnly || me.is_admin)
      .map((n): Hit => ({ group: 'search.pages', name: t(n.label), to: n.to(project) }))
      .filter((h) => h.name.toLowerCase().includes(typed.trim().toLowerCase()));
    return grouped([...pages, ...hitsOf(found.data ?? EMPTY, project)]);
  }, [found.data, me, project, seen, t, typed]);

  return (
    <AutoComplete
      className="search"
      value={typed}
      onChange={setTyped}
      onFocus={() => setSeen(recent().filter((s) => s.to !== pathname).map((s) => ({ group: 'search.recent', ...s })))}
      onSelect={(to: string) => {
        setTyped('');
        input.current?.blur();
        navigate(to);
      }}
      defaultActiveFirstOption
      filterOption={false} // the server has found them, by what need not stand in the address
      popupMatchSelectWidth={380}
      notFoundContent={typed.trim() ? t(isLooking ? 'search.looking' : 'search.nothing') : null}
      options={[...groups].map(([group, hits]) => ({ label: t(group), options: hits.map((h) => ({ value: h.to, label: h.name })) }))}
    >
      <Input ref={input} prefix={<SearchOutlined aria-hidden />} placeholder={t('search.hint')} aria-label={t('search.title')} />
    </AutoComplete>
  );
}
