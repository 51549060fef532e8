// The head of every page: where one is, its name, and what can be done here.
import { Breadcrumb, Flex, Typography } from 'antd';
import { useEffect, type ReactNode } from 'react';
import { Link, useLocation } from 'react-router-dom';
import { remember } from './recent';
import { AsCode, type CommandsOfPage } from './AsCode';

export interface Crumb {
  name: string;
  to?: string;
}

/** `state`: how it goes with what the page shows, in front of the tab's title. */
export function PageHead(props: { title: string; state?: string; crumbs?: Crumb[]; commands: CommandsOfPage; actions?: ReactNode; extra?: ReactNode }) {
  const { title, state } = props;
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = [state, title, 'Strata'].filter(Boolean).join(' · ');
    remember(title, pathname);
  }, [title, state, pathname]);
  return (
    <header className="page-head">
      {props.crumbs && (
        <Breadcrumb items={props.crumbs.map((c) => ({ title: c.to ? <Link to={c.to}>{c.name}</Link> : c.name }))} />
      )}
      <Flex justify="space-between" align="center" wrap gap={8}>
        <Flex align="center" gap={12} wrap>
          <Typography.Title level={1} ellipsis={{ tooltip: title }}>
            {title}
          </Typography.Title>
          {props.extra}
        </Flex>
        <Flex gap={8} align="center" wrap>
          {props.actions}
          <AsCode commands={props.commands} />
        </Flex>
      </Flex>
    </header>
  );
}
