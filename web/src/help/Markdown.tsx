// A page of the manual as elements: text only, no HTML of its own; tables and code scroll in themselves.
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import ReactMarkdown, { type Components, type ExtraProps } from 'react-markdown';
import { Link, useLocation } from 'react-router-dom';
import remarkGfm from 'remark-gfm';
import { useLanguage, useText, type Text } from '../i18n';
import { target, type ManualPage } from './manual';

export const idOf = (anchor: string) => `help-${anchor}`;

function Code({ children }: { children?: ReactNode }) {
  const t = useText();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    const timer = copied ? setTimeout(() => setCopied(false), 2000) : undefined;
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (from: HTMLElement) =>
    void navigator.clipboard?.writeText(from.closest('.help-code')?.querySelector('pre')?.textContent?.trimEnd() ?? '').then(() => setCopied(true));
  return (
    <div className="help-code">
      <pre tabIndex={0}>{children}</pre>
      <Button
        size="small"
        type="text"
        icon={copied ? <CheckOutlined /> : <CopyOutlined />}
        aria-label={t(copied ? 'action.copied' : 'action.copy')}
        onClick={(e) => copy(e.currentTarget)}
      />
    </div>
  );
}

/** A link to another place of the manual stays in the drawer; one that leaves it is text. */
function Anchor({ href = '', page, children }: { href?: string; page: ManualPage; children?: ReactNode }) {
  const { language } = useLanguage();
  const { pathname, search } = useLocation();
  const [topic, setTopic] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    void target(href, page, language).then((found) => current && setTopic(found));
    return () => {
      current = false;
    };
  }, [href, page, language]);
  if (!topic) {
    return <span>{children}</span>;
  }
  const query = new URLSearchParams(search);
  query.set('help', topic);
  return <Link to={`${pathname}?${query}`}>{children}</Link>;
}

function componentsFor(page: ManualPage, t: Text): Components {
  const heading = ({ node, children }: ExtraProps & { children?: ReactNode }) => {
    const at = page.headings.findIndex((h) => h.line === node?.position?.start.line);
    const Level = `h${Math.min(6, (page.headings[at]?.level ?? 1) + 1)}` as 'h2'; // h1 is the page beside the help
    return (
      <Level id={idOf(page.anchors[at] ?? '')} tabIndex={-1}>
        {children}
      </Level>
    );
  };
  return {
    h1: heading,
    h2: heading,
    h3: heading,
    h4: heading,
    a: ({ href, children }) => (
      <Anchor href={href} page={page}>
        {children}
      </Anchor>
    ),
    pre: ({ children }) => <Code>{children}</Code>,
    table: ({ node, children }) => {
      const section = page.headings.filter((h) => h.line < (node?.position?.start.line ?? 0)).at(-1);
      return (
        <div className="help-table" tabIndex={0} role="region" aria-label={t('help.table', { title: section?.title ?? '' })}>
          <table>{children}</table>
        </div>
      );
    },
  };
}

export function Markdown({ page }: { page: ManualPage }) {
  const t = useText();
  const components = useMemo(() => componentsFor(page, t), [page, t]);
  return (
    <ReactMarkdown remarkPlugins={[remarkGfm]} components={components}>
      {page.text}
    </ReactMarkdown>
  );
}
