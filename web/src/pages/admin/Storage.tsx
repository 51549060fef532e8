// What all images take on disk, what is about to go, and whether files and tables agree.
import { App, Button, Card, Checkbox, Flex, Progress, Skeleton, Statistic, Tag, Typography } from 'antd';
import { useState } from 'react';
import { collectAll, isChecking, startCheck, useFindings, useStorage } from '../../api/storage';
import type { RegistryCheck, RegistryFinding, RegistryStorage } from '../../api/types';
import { ErrorView } from '../../components/ErrorView';
import { FilterBox } from '../../components/FilterBox';
import { bytes } from '../../components/format';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago, Took } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';

function Numbers({ storage: s }: { storage: RegistryStorage }) {
  const t = useText();
  const facts = [
    ['stored', s.stored_bytes, s.blobs],
    ['unused', s.unreferenced_bytes, s.unreferenced_blobs],
    ['freed', s.freed_bytes, s.freed_blobs],
    ['uploads', s.upload_bytes, s.uploads],
  ] as const;
  return (
    <Card>
      <Flex gap="16px 48px" wrap>
        {facts.map(([key, size, n]) => (
          <div key={key}>
            <Statistic title={t(`store.${key}`)} value={bytes(size)} />
            <span className="secondary">{t(key === 'uploads' ? 'store.n_uploads' : 'store.n_blobs', { n: n.toLocaleString() })}</span>
          </div>
        ))}
      </Flex>
      <Typography.Paragraph type="secondary" className="after-list">
        {t('store.hint')}
      </Typography.Paragraph>
    </Card>
  );
}

function Findings({ check }: { check: RegistryCheck }) {
  const t = useText();
  const say = useServerText();
  const [q] = useParam('q');
  const findings = useFindings(check.at, q);
  return (
    <>
      {(findings.items.length > 10 || q !== '') && <FilterBox label={t('store.filter')} />}
      {findings.error ? (
        <ErrorView error={findings.error} retry={() => void findings.refetch()} />
      ) : (
        <PagedTable<RegistryFinding>
          rowKey={(f) => `${f.kind}\n${f.name}\n${f.text}`}
          size="small"
          pages={findings}
          locale={{ emptyText: t('list.none_fit') }}
          columns={[
            {
              title: t('store.finding'),
              key: 'text',
              render: (_, f) => (
                <>
                  {say(f.text)}
                  <div className="mono secondary break">{f.name}</div>
                  {f.details && <div className="secondary break">{f.details}</div>}
                </>
              ),
            },
            {
              title: t('repl.state'),
              key: 'level',
              width: 130,
              render: (_, f) =>
                f.repaired ? (
                  <Tag className="state state-good">{t('store.repaired')}</Tag>
                ) : (
                  <Tag className={`state state-${f.level === 'problem' ? 'bad' : 'waiting'}`}>{t(f.level === 'problem' ? 'store.problem' : 'store.note')}</Tag>
                ),
            },
          ]}
        />
      )}
    </>
  );
}

function LastCheck({ check }: { check: RegistryCheck | null }) {
  const t = useText();
  const say = useServerText();
  if (!check) {
    return <Typography.Text type="secondary">{t('store.never_checked')}</Typography.Text>;
  }
  if (isChecking(check)) {
    return (
      <div role="status">
        {t('store.checking')} <Took from={check.at} to={null} />
        <Progress percent={check.total > 0 ? Math.floor((100 * check.done) / check.total) : 0} aria-label={t('store.checking')} />
      </div>
    );
  }
  return (
    <Flex vertical gap={12}>
      <Flex gap={12} wrap align="center">
        <Tag className={`state state-${check.error || check.problems > check.repaired ? 'bad' : 'good'}`}>
          {check.problems === 0 ? t('store.all_fine') : t('store.found', { problems: check.problems, repaired: check.repaired })}
        </Tag>
        <span className="secondary">
          <Ago at={check.ended_at} /> · {t('store.looked_at', { blobs: check.blobs.toLocaleString(), manifests: check.manifests.toLocaleString(), size: bytes(check.bytes) })}
          {check.deep && ` · ${t('store.was_deep')}`}
        </span>
      </Flex>
      {check.error && <ErrorView error={new Error(say(check.error))} />}
      {check.problems + check.notes > 0 && <Findings check={check} />}
    </Flex>
  );
}

function Check({ storage }: { storage: RegistryStorage }) {
  const t = useText();
  const { modal } = App.useApp();
  const [deep, setDeep] = useState(false);
  const [repair, setRepair] = useState(false);
  const start = () =>
    void startCheck({ deep, repair }).catch((error: unknown) => {
      modal.error({ icon: null, title: t('store.check'), content: <ErrorView error={error} />, okText: t('action.close') });
    });
  return (
    <Card title={t('store.check')}>
      <Typography.Paragraph type="secondary">{t('store.check_hint')}</Typography.Paragraph>
      <Flex gap="8px 16px" wrap align="center" className="section">
        <Button onClick={start} disabled={isChecking(storage.last_fsck)}>
          {t('store.check_now')}
        </Button>
        <Checkbox checked={deep} onChange={(e) => setDeep(e.target.checked)}>
          {t('store.deep')}
        </Checkbox>
        <Checkbox checked={repair} onChange={(e) => setRepair(e.target.checked)}>
          {t('store.repair')}
        </Checkbox>
      </Flex>
      <LastCheck check={storage.last_fsck} />
    </Card>
  );
}

function CollectButton() {
  const t = useText();
  const { message, modal } = App.useApp();
  const [busy, setBusy] = useState(false);
  const collect = async () => {
    setBusy(true);
    try {
      const freed = await collectAll();
      void message.success(freed.blobs > 0 ? t('store.collected', { n: freed.blobs.toLocaleString(), size: bytes(freed.bytes) }) : t('store.nothing_to_collect'));
    } catch (error) {
      modal.error({ icon: null, title: t('store.collect'), content: <ErrorView error={error} />, okText: t('action.close') });
    }
    setBusy(false);
  };
  return (
    <Button type="primary" loading={busy} onClick={() => void collect()}>
      {t('store.collect')}
    </Button>
  );
}

export default function Storage() {
  const t = useText();
  const storage = useStorage();
  return (
    <>
      <PageHead
        title={t('store.title')}
        commands={[
          { cli: 'strata registry storage', url: '/api/v1/registry/storage' },
          { cli: 'strata registry collect', method: 'POST', url: '/api/v1/registry/collect' },
        ]}
        actions={<CollectButton />}
      />
      {storage.error ? (
        <ErrorView error={storage.error} retry={() => void storage.refetch()} />
      ) : storage.data ? (
        <Flex vertical gap={16}>
          <Numbers storage={storage.data} />
          <Check storage={storage.data} />
        </Flex>
      ) : (
        <Skeleton active />
      )}
    </>
  );
}
