// The panel of uploads in the corner: how far all are together, and each of them.
import { CaretDownOutlined, CaretUpOutlined, ClearOutlined, CloseOutlined, PauseOutlined, PlayCircleOutlined, ReloadOutlined, StopOutlined } from '@ant-design/icons';
import { App, Button, Flex, Progress, Tooltip } from 'antd';
import { useState, useSyncExternalStore, type ReactNode } from 'react';
import { bytes, duration } from '../components/format';
import { VirtualRows } from '../components/VirtualRows';
import { useText, type Text } from '../i18n';
import { uploads, type Totals } from './queue';
import { ROW, UploadRow } from './UploadRow';
import './uploads.css';

function headline(t: Text, n: Totals): string {
  if (n.open === 0) {
    return n.failed > 0 ? t('upload.some_failed', { failed: n.failed, all: n.files }) : t('upload.all_done', { n: n.done });
  }
  return t(n.paused === n.open ? 'upload.all_paused' : 'upload.active', { done: n.done, all: n.files });
}

function details(t: Text, n: Totals): string {
  const parts = [`${bytes(n.sent)} / ${bytes(n.size)}`];
  const rate = uploads.rate.perSecond();
  const left = uploads.rate.remaining(n.size - n.sent);
  if (n.waiting) {
    parts.push(t(`upload.state_${n.waiting}`));
  } else if (n.open > n.paused && rate > 0 && left !== null) {
    parts.push(`${bytes(Math.round(rate))}/s`, t('upload.left', { time: duration(left) }));
  }
  return parts.join(' · ');
}

function Tool({ label, icon, run }: { label: string; icon: ReactNode; run: () => void }) {
  return (
    <Tooltip title={label}>
      <Button type="text" size="small" icon={icon} aria-label={label} onClick={run} />
    </Tooltip>
  );
}

function Tools({ totals }: { totals: Totals }) {
  const t = useText();
  const { modal } = App.useApp();
  const cancelAll = () =>
    modal.confirm({
      title: t('upload.cancel_ask', { n: totals.open }),
      content: t('upload.cancel_what'),
      okText: t('upload.cancel_all'),
      cancelText: t('upload.keep'),
      okButtonProps: { danger: true },
      onOk: () => uploads.cancel(uploads.list),
    });
  const failed = uploads.list.filter((u) => u.state === 'failed');
  const paused = uploads.list.filter((u) => u.state === 'paused');
  const ended = uploads.list.length - totals.open;
  return (
    <Flex className="uploads-tools" gap={4}>
      {totals.open > totals.paused && <Tool label={t('upload.pause_all')} icon={<PauseOutlined />} run={() => uploads.pause(uploads.list)} />}
      {paused.length > 0 && <Tool label={t('upload.resume_all')} icon={<PlayCircleOutlined />} run={() => uploads.resume(paused)} />}
      {failed.length > 0 && <Tool label={t('upload.retry_all')} icon={<ReloadOutlined />} run={() => uploads.resume(failed)} />}
      {totals.open > 0 && <Tool label={t('upload.cancel_all')} icon={<StopOutlined />} run={cancelAll} />}
      {totals.open > 0 && ended > 0 && <Tool label={t('upload.clear')} icon={<ClearOutlined />} run={() => uploads.clear()} />}
    </Flex>
  );
}

export default function UploadsPanel() {
  const t = useText();
  const [isOpen, setOpen] = useState(true);
  useSyncExternalStore(uploads.subscribe, () => uploads.version);
  const totals = uploads.totals();
  const percent = totals.size > 0 ? Math.floor((100 * totals.sent) / totals.size) : totals.files === totals.done ? 100 : 0;
  // What goes on stands above what waits, and that above what is done.
  const order = { sending: 0, server: 0, session: 0, failed: 1, paused: 2, queued: 3, done: 4, cancelled: 5 };
  const list = [...uploads.list].sort((a, b) => order[a.state] - order[b.state] || a.key - b.key);
  return (
    <section className="uploads" aria-label={t('upload.title')}>
      <Flex className="uploads-head" align="center" gap={8}>
        <div className="grow">
          <b role="status">{headline(t, totals)}</b>
          <div className="secondary uploads-details">{details(t, totals)}</div>
        </div>
        <Button
          type="text"
          icon={isOpen ? <CaretDownOutlined /> : <CaretUpOutlined />}
          aria-expanded={isOpen}
          aria-label={t(isOpen ? 'upload.hide' : 'upload.show')}
          onClick={() => setOpen(!isOpen)}
        />
        {totals.open === 0 && <Button type="text" icon={<CloseOutlined />} aria-label={t('upload.close')} onClick={() => uploads.clear()} />}
      </Flex>
      <Progress
        percent={percent}
        size="small"
        showInfo={false}
        status={totals.failed > 0 ? 'exception' : totals.open > 0 ? 'normal' : 'success'}
        aria-label={t('upload.title')}
        className="uploads-total"
      />
      {isOpen && (
        <>
          <Tools totals={totals} />
          <div className="uploads-list" style={{ height: Math.min(list.length, 4.5) * ROW }}>
            <VirtualRows
              role="list"
              label={t('upload.title')}
              count={list.length}
              rowHeight={ROW}
              row={(i) => {
                const u = list[i];
                return u && <UploadRow key={u.key} upload={u} />;
              }}
            />
          </div>
          {totals.open > 0 && <p className="secondary uploads-hint">{t('upload.leave_hint')}</p>}
        </>
      )}
    </section>
  );
}
