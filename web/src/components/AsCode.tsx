// "Show as CLI / curl": what a page does, for scripts. The token stands in a variable, never in the text.
import { CodeOutlined } from '@ant-design/icons';
import { Button, Popover, Typography } from 'antd';
import { useText } from '../i18n';

export interface Command {
  cli?: string;
  method?: string;
  url?: string; // path of the API
}

export function curl({ method = 'GET', url = '/' }: Command): string {
  const verb = method === 'GET' ? '' : `-X ${method} `;
  return `curl -sS ${verb}-H "Authorization: Bearer $STRATA_TOKEN" '${location.origin}${url}'`;
}

export function AsCode({ commands }: { commands: Command[] }) {
  const t = useText();
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      title={t('as_code.title')}
      content={
        <div className="as-code">
          <Typography.Text type="secondary">{t('as_code.hint')}</Typography.Text>
          {commands.map((c) => (
            <div key={(c.cli ?? '') + (c.url ?? '')}>
              {c.cli && (
                <Typography.Text code copyable>
                  {c.cli}
                </Typography.Text>
              )}
              {c.url && (
                <Typography.Text code copyable>
                  {curl(c)}
                </Typography.Text>
              )}
            </div>
          ))}
        </div>
      }
    >
      <Button type="text" icon={<CodeOutlined />} aria-label={t('as_code.title')} />
    </Popover>
  );
}
