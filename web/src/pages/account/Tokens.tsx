// Personal tokens: for scripts, docker and the CLI; each can be narrowed, and revoked alone.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Card, Table, Tag, Typography } from 'antd';
import { startTransition, useState } from 'react';
import { deleteToken, useTokens } from '../../api/admin';
import type { Token } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { ErrorView } from '../../components/ErrorView';
import { dateTime } from '../../components/format';
import { Ago, useNow } from '../../components/time';
import { useLanguage, useText } from '../../i18n';
import { NewToken } from './NewToken';

function Scopes({ scopes }: { scopes: string[] | null }) {
  const t = useText();
  return scopes === null ? (
    <span>{t('account.all_scopes')}</span>
  ) : (
    <>
      {scopes.map((s) => (
        <Tag key={s} className="mono">
          {s}
        </Tag>
      ))}
    </>
  );
}

function Expires({ at }: { at: string | null }) {
  const { language, t } = useLanguage();
  const now = useNow(60_000);
  if (!at) {
    return <span>{t('account.never')}</span>;
  }
  return new Date(at).getTime() < now ? <Tag className="state state-bad">{t('account.expired')}</Tag> : <time dateTime={at}>{dateTime(at, language)}</time>;
}

export function Tokens() {
  const t = useText();
  const tokens = useTokens();
  const confirm = useConfirm();
  const [making, setMaking] = useState(false);
  const revoke = (token: Token) =>
    confirm({
      title: t('account.revoke_title', { name: token.name }),
      consequence: t('account.revoke_hint'),
      ok: t('account.revoke'),
      run: () => deleteToken(token.id),
    });
  return (
    <Card
      title={t('account.tokens')}
      extra={
        <Button type="primary" icon={<PlusOutlined />} onClick={() => startTransition(() => setMaking(true))}>
          {t('account.new_token')}
        </Button>
      }
    >
      <Typography.Paragraph type="secondary">{t('account.tokens_hint')}</Typography.Paragraph>
      {tokens.error ? (
        <ErrorView error={tokens.error} retry={() => void tokens.refetch()} />
      ) : (
        <Table<Token>
          rowKey="id"
          size="small"
          dataSource={tokens.items}
          loading={tokens.isLoading}
          pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
          locale={{ emptyText: t('account.no_tokens') }}
          columns={[
            {
              title: t('admin.name'),
              dataIndex: 'name',
              render: (name: string, token) => (
                <>
                  <strong className="break">{name}</strong>
                  <div className="narrow-line">
                    <Scopes scopes={token.scopes} />
                  </div>
                </>
              ),
            },
            { title: t('account.scopes'), dataIndex: 'scopes', responsive: ['md'], render: (s: string[] | null) => <Scopes scopes={s} /> },
            { title: t('account.last_used'), dataIndex: 'last_used_at', width: 130, render: (at: string | null) => <Ago at={at} /> },
            { title: t('account.expires'), dataIndex: 'expires_at', width: 190, responsive: ['md'], render: (at: string | null) => <Expires at={at} /> },
            { title: t('admin.created'), dataIndex: 'created_at', width: 130, responsive: ['lg'], render: (at: string) => <Ago at={at} /> },
            {
              title: <span className="sr-only">{t('admin.actions_head')}</span>,
              key: 'revoke',
              width: 50,
              render: (_, token) => <Button danger type="text" icon={<DeleteOutlined />} aria-label={t('account.revoke_title', { name: token.name })} onClick={() => revoke(token)} />,
            },
          ]}
        />
      )}
      {making && <NewToken close={() => setMaking(false)} />}
    </Card>
  );
}
