import { Result, Typography } from 'antd';
import { Link } from 'react-router-dom';
import { useText } from '../i18n';

/** `project`: the address names it, and there is none of this name (any more). */
export function NotFound({ project }: { project?: string }) {
  const t = useText();
  return (
    <Result
      status="404"
      title={<Typography.Title level={1} style={{ fontSize: 24 }}>{project ? t('project.gone', { name: project }) : t('error.not_found')}</Typography.Title>}
      subTitle={t(project ? 'project.gone_hint' : 'error.not_found_hint')}
      extra={<Link to="/overview">{t('nav.overview')}</Link>}
    />
  );
}
