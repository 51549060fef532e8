// What went wrong, why, what to do, and the id to find it in the server's log by.
import { Alert, Button, Space, Typography } from 'antd';
import { ApiError } from '../api/client';
import { useServerText, useText } from '../i18n';

export function ErrorView({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useText();
  const say = useServerText();
  const e = error instanceof ApiError ? error : null;
  const isAway = e?.status === 0;
  return (
    <Alert
      role="alert"
      type={isAway ? 'warning' : 'error'}
      showIcon
      title={isAway ? t('error.unreachable') : e?.status === 403 ? t('error.forbidden') : t('error.title')}
      description={
        <Space orientation="vertical" size={4}>
          <span>{isAway ? t('error.unreachable_hint') : e ? say(e.original) : error instanceof Error ? error.message : String(error)}</span>
          {e && !isAway && say(e.original) !== e.original && (
            <Typography.Text type="secondary" lang="en" className="small">
              {e.original}
            </Typography.Text>
          )}
          {e?.requestId && (
            <Typography.Text type="secondary" copyable={{ text: e.requestId }}>
              {t('error.request', { id: e.requestId })}
            </Typography.Text>
          )}
        </Space>
      }
      action={
        retry && (
          <Button size="small" onClick={retry}>
            {t('error.retry')}
          </Button>
        )
      }
    />
  );
}
