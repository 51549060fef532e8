// Commands to copy into a terminal, each with what it is for.
import { Typography } from 'antd';

export interface NamedCommand {
  name: string;
  text: string;
  hint?: string;
}

export function Commands({ commands }: { commands: NamedCommand[] }) {
  return (
    <dl className="commands">
      {commands.map((c) => (
        <div key={c.name}>
          <dt>
            {c.name}
            {c.hint && <span className="secondary"> – {c.hint}</span>}
          </dt>
          <dd>
            <Typography.Paragraph className="mono" copyable={{ text: c.text }}>
              {c.text}
            </Typography.Paragraph>
          </dd>
        </div>
      ))}
    </dl>
  );
}
