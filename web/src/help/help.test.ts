import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RouteObject } from 'react-router-dom';
import { pages } from '../app/pages';
import { find, headingsOf, isPage, load, PAGES, slug, split, target } from './manual';
import { topicFor, type Topic } from './topic';

const MANUAL = new URL('../../../docs/manual/', import.meta.url);

/** The pages of the console: what shows something of its own, not what leads elsewhere. */
function leaves(routes: RouteObject[], above = ''): [string, Topic | undefined][] {
  return routes.flatMap((r) => {
    const path = r.path?.startsWith('/') ? r.path : [above, r.path].filter(Boolean).join('/');
    const name = (r.element as { type?: { name?: string } } | undefined)?.type?.name ?? '';
    const leads = r.index || name === 'Navigate' || name === 'InProject' || path === '/';
    return r.children ? leaves(r.children, path) : leads ? [] : [[path, (r.handle as { help?: Topic } | undefined)?.help]];
  });
}

describe('the help of a page', () => {
  const all = leaves(pages);

  it('is there for every page of the console, and names a heading of the manual', () => {
    expect(all.length).toBeGreaterThan(17);
    for (const [path, topic] of all) {
      expect(topic, `${path}: its route names no help; see help/topic.ts`).toBeDefined();
      for (const one of typeof topic === 'object' ? Object.values(topic.of) : [topic ?? '']) {
        const [name, anchor] = split(one);
        const slugs = headingsOf(readFileSync(new URL(`${name}.md`, MANUAL), 'utf8')).map((h) => h.slug);
        expect(anchor === '' || slugs.includes(anchor), `${path}: ${one} is no heading of docs/manual/${name}.md`).toBe(true);
      }
    }
  });

  it('follows the face of the page', () => {
    const topic: Topic = { by: 'tab', of: { '': 'a', log: 'b', '*': 'c' } };
    expect(topicFor(topic, new URLSearchParams())).toBe('a');
    expect(topicFor(topic, new URLSearchParams('tab=log'))).toBe('b');
    expect(topicFor(topic, new URLSearchParams('tab=other'))).toBe('c');
    expect(topicFor(undefined, new URLSearchParams())).toBe('README');
  });
});

describe('the manual', () => {
  it('lists every page that lies in docs/manual', () => {
    const there = readdirSync(MANUAL).filter((f) => f.endsWith('.md')).map((f) => f.slice(0, -3));
    expect([...PAGES, 'README'].sort()).toEqual(there.sort());
    expect(there.every(isPage)).toBe(true);
    expect(isPage('../secret')).toBe(false);
  });

  it('gives headings the anchors of a git host', () => {
    expect(slug('The password of `admin` is lost?')).toBe('the-password-of-admin-is-lost');
    expect(slug('遺失 admin 的密碼')).toBe('遺失-admin-的密碼');
    expect(headingsOf('# A\n```sh\n# no heading\n```\n## B [c](d.md)').map((h) => [h.line, h.level, h.title])).toEqual([[1, 1, 'A'], [5, 2, 'B c']]);
  });

  it('leads links of every language to the same places', async () => {
    const page = await load('troubleshooting', 'zh-TW');
    expect(await target('jobs.md#工作為何等待', page, 'zh-TW')).toBe('jobs.why-a-job-waits');
    expect(await target('#日誌是空的', page, 'zh-TW')).toBe('troubleshooting.the-log-is-empty');
    expect(await target('../settings.md', page, 'zh-TW')).toBe('settings');
    expect(await target('../formats/api.md', page, 'en')).toBeNull();
    expect(await target('https://elsewhere.example/', page, 'en')).toBeNull();
    expect(await target('javascript:alert(1)', page, 'en')).toBeNull();
  });

  it('is searched by words, titles first', async () => {
    const pages = await Promise.all(PAGES.map((p) => load(p, 'en')));
    const hits = find(pages, 'out memory');
    expect(hits[0]?.topic).toBe('jobs.out-of-memory');
    expect(find(pages, '   ')).toEqual([]);
    expect(find(pages, 'no such words here')).toEqual([]);
    expect(hits.every((h) => h.excerpt.length < 200)).toBe(true);
  });
});
