// What a container of this image starts with.
import { Descriptions, Typography } from 'antd';
import type { ReactNode } from 'react';
import type { ImageConfig } from '../../api/registry';
import { Ago } from '../../components/time';
import { useText, type Key } from '../../i18n';

const words = (list: string[] | null | undefined) =>
  list?.length ? <code className="mono break">{list.map((w) => (/^[\w@%+=:,./-]+$/.test(w) ? w : JSON.stringify(w))).join(' ')}</code> : null;

function Pairs({ pairs }: { pairs: [string, string][] }) {
  return (
    <dl className="pairs mono">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function pairsOf(env: string[]): [string, string][] {
  return env.map((e) => {
    const at = e.indexOf('=');
    return at < 0 ? [e, ''] : [e.slice(0, at), e.slice(at + 1)];
  });
}

export function ConfigFacts({ image }: { image: ImageConfig }) {
  const t = useText();
  const c = image.config ?? {};
  const rows: [Key, ReactNode][] = [
    ['images.platform', [image.os, image.architecture, image.variant].filter(Boolean).join('/')],
    ['images.created', image.created && new Date(image.created).getTime() > 0 ? <Ago at={image.created} /> : null],
    ['images.entrypoint', words(c.Entrypoint)],
    ['images.cmd', words(c.Cmd)],
    ['images.workdir', c.WorkingDir && <code className="mono">{c.WorkingDir}</code>],
    ['images.user', c.User && <code className="mono">{c.User}</code>],
    ['images.ports', words(Object.keys(c.ExposedPorts ?? {}))],
    ['images.env', c.Env?.length ? <Pairs pairs={pairsOf(c.Env)} /> : null],
    ['images.labels', Object.keys(c.Labels ?? {}).length ? <Pairs pairs={Object.entries(c.Labels ?? {})} /> : null],
  ];
  return (
    <Descriptions
      column={1}
      size="small"
      bordered
      className="facts"
      items={rows.map(([key, value]) => ({ key, label: t(key), children: value || <Typography.Text type="secondary">{t('images.not_set')}</Typography.Text> }))}
    />
  );
}
