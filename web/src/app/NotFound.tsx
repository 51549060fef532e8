import { Result, Typography } from 'antd';
import type { ReactNode } from 'react';
import { Link } from 'react-router-dom';
import { useText } from '../i18n';

/** A page in place of one that is not there. */
export function Missing({ title, hint, extra }: { title: string; hint: string; extra: ReactNode }) {
  return (
    <Result
      status="404"
      title={
        <Typography.Title level={1} style={{ fontSize: 24 }}>
          {title}
        </Typography.Title>
      }
      subTitle={hint}
      extra={extra}
    />
  );
}

/** `project`: the address names it, and there is none of this name (any more). */
export function NotFound({ project }: { project?: string }) {
  const t = useText();
  return (
    <Missing
      title={project ? t('project.gone', { name: project }) : t('error.not_found')}
      hint={t(project ? 'project.gone_hint' : 'error.not_found_hint')}
      extra={<Link to="/overview">{t('nav.overview')}</Link>}
    />
  );
}
