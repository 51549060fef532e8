// A page of the manual as elements: text only, no HTML of its own; tables and code scroll in themselves.
import { Typography } from 'antd';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import ReactMarkdown, { type Components, type ExtraProps } from 'react-markdown';
import { Link } from 'react-router-dom';
import remarkGfm from 'remark-gfm';
import { useLanguage, useText, type Text } from '../i18n';
import { target, type ManualPage } from './manual';
import { useHelp } from './useHelp';

export const idOf = (anchor: string) => `help-${anchor}`;

function Code({ text, children }: { text: string; children?: ReactNode }) {
  const t = useText();
  return (
    <div className="help-code">
      <pre tabIndex={0}>{children}</pre>
      <Typography.Text copyable={{ text, tooltips: [t('action.copy'), t('action.copied')] }} />
    </div>
  );
}

/** What an element holds, as text. */
function textOf(node: ExtraProps['node']): string {
  return (node?.children ?? []).map((c) => (c.type === 'text' ? c.value : c.type === 'element' ? textOf(c) : '')).join('');
}

/** A link to another place of the manual stays in the drawer; one that leaves it is text. */
function Anchor({ href = '', page, children }: { href?: string; page: ManualPage; children?: ReactNode }) {
  const { language } = useLanguage();
  const { to } = useHelp();
  const [topic, setTopic] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    void target(href, page, language).then((found) => current && setTopic(found));
    return () => {
      current = false;
    };
  }, [href, page, language]);
  return topic ? <Link to={to(topic)}>{children}</Link> : <span>{children}</span>;
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
    pre: ({ node, children }) => <Code text={textOf(node).trimEnd()}>{children}</Code>,
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
