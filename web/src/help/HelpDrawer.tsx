// The manual beside the page: contents, search, and the section about what one sees.
import { SearchOutlined } from '@ant-design/icons';
import { Drawer, Input, Select, Skeleton, Typography } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { Link, useLocation } from 'react-router-dom';
import { useGet } from '../api/queries';
import { ErrorView } from '../components/ErrorView';
import { useLanguage, useText } from '../i18n';
import './help.css';
import { find, load, PAGES, split, type Found, type ManualPage } from './manual';
import { idOf, Markdown } from './Markdown';
import { useHelp } from './useHelp';

/** The address of this page with another topic of the help. */
function useTo() {
  const { pathname, search } = useLocation();
  return (topic: string) => {
    const query = new URLSearchParams(search);
    query.set('help', topic);
    return `${pathname}?${query}`;
  };
}

function OnThisPage({ page }: { page: ManualPage }) {
  const t = useText();
  const to = useTo();
  const parts = page.headings.map((h, i) => ({ ...h, anchor: page.anchors[i] })).filter((h) => h.level === 2);
  return parts.length < 3 ? null : (
    <details className="help-parts">
      <summary>{t('help.on_this_page')}</summary>
      <nav aria-label={t('help.on_this_page')}>
        <ul>
          {parts.map((h) => (
            <li key={h.anchor}>
              <Link to={to(`${page.name}.${h.anchor}`)}>{h.title}</Link>
            </li>
          ))}
        </ul>
      </nav>
    </details>
  );
}

function Hits({ hits, choose }: { hits: Found[]; choose: () => void }) {
  const t = useText();
  const to = useTo();
  return (
    <>
      <p className="secondary" role="status">
        {t('help.found', { n: hits.length })}
      </p>
      <ul className="plain">
        {hits.map((h) => (
          <li key={h.topic}>
            <Link to={to(h.topic)} onClick={choose}>
              {h.section === h.page ? h.page : `${h.page} › ${h.section}`}
            </Link>
            <div className="secondary break">{h.excerpt}</div>
          </li>
        ))}
      </ul>
    </>
  );
}

/** What to name when one asks for help. */
function Version() {
  const t = useText();
  const version = useGet<{ version: string; commit: string }>(['version'], '/version').data;
  const text = version && `Strata ${version.version} (${version.commit})`;
  return text ? (
    <Typography.Text type="secondary" copyable={{ text, tooltips: [t('action.copy'), t('action.copied')] }}>
      {text}
    </Typography.Text>
  ) : null;
}

export default function HelpDrawer() {
  const { language, t } = useLanguage();
  const { topic, open } = useHelp();
  const [name, anchor] = split(topic);
  const [typed, setTyped] = useState('');
  const body = useRef<HTMLDivElement>(null);
  const page = useQuery({ queryKey: ['manual', name, language], queryFn: () => load(name, language), staleTime: Infinity, enabled: topic !== '' });
  const all = useQuery({
    queryKey: ['manual', language],
    queryFn: () => Promise.all(PAGES.map((p) => load(p, language))),
    staleTime: Infinity,
    enabled: topic !== '',
  });
  useEffect(() => setTyped(''), [topic]);
  const shown = page.data;
  useEffect(() => {
    const heading = anchor ? document.getElementById(idOf(anchor)) : null;
    if (heading) {
      heading.scrollIntoView({ block: 'start' });
    } else {
      body.current?.parentElement?.scrollTo(0, 0);
    }
  }, [shown, anchor, typed]);
  const titles = Object.fromEntries((all.data ?? []).map((p) => [p.name, p.headings[0]?.title ?? p.name]));
  return (
    <Drawer
      open={topic !== ''}
      onClose={() => open('')}
      placement="right"
      size="min(560px, 100vw)"
      mask={false}
      title={t('help.title')}
      className="help"
      rootClassName="help-root"
      closable={{ 'aria-label': t('action.close') }}
      footer={<Version />}
    >
      <div ref={body}>
        <div className="help-tools">
          <Select<string>
            aria-label={t('help.contents')}
            value={shown?.name}
            onChange={open}
            options={[{ value: 'README', label: t('help.contents') }, ...PAGES.map((p) => ({ value: p, label: titles[p] ?? p }))]}
          />
          <Input allowClear prefix={<SearchOutlined aria-hidden />} value={typed} placeholder={t('help.search')} aria-label={t('help.search')} onChange={(e) => setTyped(e.target.value)} />
        </div>
        {page.error && <ErrorView error={page.error} retry={() => void page.refetch()} />}
        {typed.trim() ? (
          <Hits hits={find(all.data ?? [], typed)} choose={() => setTyped('')} />
        ) : shown ? (
          <article className="help-page" lang={['commands', 'settings', 'routes'].includes(shown.name) ? 'en' : language}>
            <OnThisPage key={shown.name} page={shown} />
            <Markdown page={shown} />
          </article>
        ) : (
          !page.error && <Skeleton active />
        )}
      </div>
    </Drawer>
  );
}
