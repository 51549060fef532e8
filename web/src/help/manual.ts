// The manual as it lies in docs/manual, packed into the program: a file for each page and language, read when it is opened.
import type { Language } from '../i18n';

const FILES = import.meta.glob<string>('../../../docs/manual/**/*.md', { query: '?raw', import: 'default' });

/** In the order of the contents; the last three are written by the program and are in English only. */
export const PAGES = ['overview', 'jobs', 'studio', 'data', 'images', 'metrics', 'account', 'administration', 'exporter', 'troubleshooting', 'commands', 'settings', 'routes'];
const CONTENTS = 'README';

export interface Heading {
  line: number; // from 1 on
  level: number;
  title: string;
  slug: string; // in its own language
}

export interface ManualPage {
  name: string;
  text: string;
  headings: Heading[];
  /** Anchors that are the same in every language: those of the English headings. */
  anchors: string[];
}

/** A heading without its marks. */
export const plain = (text: string) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '').trim();

/** The anchor that a git host gives a heading; tools/manual_pages.py does the same. */
export const slug = (heading: string) => plain(heading).toLowerCase().replace(/[^\p{L}\p{N}_\- ]/gu, '').replace(/ /g, '-');

export function headingsOf(text: string): Heading[] {
  let inCode = false;
  return text.split('\n').flatMap((line, i) => {
    if (line.startsWith('```')) {
      inCode = !inCode;
    }
    const found = inCode ? null : /^(#+) (.*)$/.exec(line);
    return found ? [{ line: i + 1, level: found[1]!.length, title: plain(found[2]!), slug: slug(found[2]!) }] : [];
  });
}

function fileOf(name: string, language: Language): (() => Promise<string>) | undefined {
  const folder = '../../../docs/manual';
  return (language === 'en' ? undefined : FILES[`${folder}/${language}/${name}.md`]) ?? FILES[`${folder}/${name}.md`];
}

export const isPage = (name: string) => fileOf(name, 'en') !== undefined;

export async function load(name: string, language: Language): Promise<ManualPage> {
  const page = isPage(name) ? name : CONTENTS;
  const [text, english] = await Promise.all([fileOf(page, language)!(), fileOf(page, 'en')!()]);
  return { name: page, text, headings: headingsOf(text), anchors: headingsOf(english).map((h) => h.slug) };
}

/** A topic in two: its page and the anchor in it. Page names have no dot. */
export function split(topic: string): [string, string] {
  const dot = topic.indexOf('.');
  return dot < 0 ? [topic, ''] : [topic.slice(0, dot), topic.slice(dot + 1)];
}

/** Where a link in a page leads: a topic, or null where it leaves the manual. Its anchor is one of that language. */
export async function target(href: string, from: ManualPage, language: Language): Promise<string | null> {
  const found = /^(?:(?:\.\.\/)?([A-Za-z]+)\.md)?(?:#(.+))?$/.exec(href);
  const name = found && (found[1] ?? from.name);
  if (!found || !name || !isPage(name)) {
    return null;
  }
  const page = name === from.name ? from : await load(name, language);
  const at = page.headings.findIndex((h) => h.slug === decodeURIComponent(found[2] ?? ''));
  return at > 0 ? `${name}.${page.anchors[at]}` : name;
}

export interface Found {
  topic: string;
  page: string; // title
  section: string;
  excerpt: string;
}

const AROUND = 60;

function excerptOf(text: string, word: string): string {
  const flat = plain(text.replace(/^#+ .*$/gm, '').replace(/^```.*$/gm, '').replace(/[|]|-{3,}/g, ' ')).replace(/\s+/g, ' ');
  const at = Math.max(0, flat.toLowerCase().indexOf(word) - AROUND);
  return (at > 0 ? '…' : '') + flat.slice(at, at + 2 * AROUND + word.length).trim() + (at + 2 * AROUND + word.length < flat.length ? '…' : '');
}

/** Sections that hold every word; those with a word in their title first. */
export function find(pages: ManualPage[], typed: string): Found[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return [];
  }
  const hits = pages.flatMap((page) => {
    const lines = page.text.split('\n');
    return page.headings.flatMap((h, i) => {
      const text = lines.slice(h.line - 1, (page.headings[i + 1]?.line ?? lines.length + 1) - 1).join('\n');
      const all = text.toLowerCase();
      if (!words.every((w) => all.includes(w))) {
        return [];
      }
      const inTitle = words.filter((w) => h.title.toLowerCase().includes(w)).length;
      const topic = i > 0 ? `${page.name}.${page.anchors[i]}` : page.name;
      return [{ inTitle, found: { topic, page: page.headings[0]?.title ?? page.name, section: h.title, excerpt: excerptOf(text, words[0]!) } }];
    });
  });
  return hits.sort((a, b) => b.inTitle - a.inTitle).map((h) => h.found);
}
