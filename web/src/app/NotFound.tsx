import { Result, Typography } from 'antd';
import { Link } from 'react-router-dom';
import { useText } from '../i18n';

export function NotFound() {
  const t = useText();
  return (
    <Result
      status="404"
      title={<Typography.Title level={1} style={{ fontSize: 24 }}>{t('error.not_found')}</Typography.Title>}
      subTitle={t('error.not_found_hint')}
      extra={<Link to="/overview">{t('nav.overview')}</Link>}
    />
  );
}
