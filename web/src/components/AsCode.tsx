// "Show as CLI / curl": what a page does, for scripts. The token stands in a variable, never in the text.
import { CodeOutlined } from '@ant-design/icons';
import { Button, Popover, Typography } from 'antd';
import { useText } from '../i18n';
import { quote } from './shell';

/** One thing that a page does, in both ways; what stands in capitals is for the reader to fill in. */
export interface Command {
  cli: string;
  url: string; // path of the API
  method?: string;
  body?: unknown; // sent as JSON
  file?: string; // sent as it is
  type?: string; // of the file
}

/** At least one for every page. */
export type CommandsOfPage = [Command, ...Command[]];

export function curl({ url, method = 'GET', body, file, type }: Command, origin = location.origin): string {
  const header = (text: string) => ['-H', `'${text}'`];
  return [
    'curl -sS',
    ...(method === 'GET' ? [] : ['-X', method]),
    '-H "Authorization: Bearer $STRATA_TOKEN"',
    ...(body !== undefined ? [...header('Content-Type: application/json'), '-d', quote(JSON.stringify(body))] : []),
    ...(file !== undefined ? [...(type ? header(`Content-Type: ${type}`) : []), '--data-binary', `@${file}`] : []),
    quote(origin + url),
  ].join(' ');
}

export function AsCode({ commands }: { commands: CommandsOfPage }) {
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
            <div key={c.cli} className="twin">
              <Typography.Text code copyable>
                {c.cli}
              </Typography.Text>
              <Typography.Text code copyable>
                {curl(c)}
              </Typography.Text>
            </div>
          ))}
        </div>
      }
    >
      <Button type="text" icon={<CodeOutlined />} aria-label={t('as_code.title')} />
    </Popover>
  );
}
