// One upload: its name leads to where it goes.
import { CheckCircleFilled, CloseCircleFilled, CloseOutlined, PauseOutlined, PlayCircleOutlined, ReloadOutlined } from '@ant-design/icons';
import { Button, Progress, Tooltip, Typography } from 'antd';
import { Link } from 'react-router-dom';
import { lastOf, pageOf, parentOf, shown } from '../api/files';
import { bytes, duration } from '../components/format';
import { useText, type Text } from '../i18n';
import { isLiving, uploads, type Upload } from './queue';

export const ROW = 66;

function state(t: Text, u: Upload): string {
  if (u.state === 'failed') {
    return u.error?.kind === 'unreadable' ? t('upload.unreadable') : (u.error?.message ?? t('upload.state_failed'));
  }
  if (u.state !== 'sending') {
    return `${t(`upload.state_${u.state}`)} · ${u.state === 'done' ? bytes(u.size) : `${bytes(u.sent)} / ${bytes(u.size)}`}`;
  }
  const left = u.rate.remaining(u.size - u.sent);
  const parts = [`${bytes(u.sent)} / ${bytes(u.size)}`];
  if (left !== null) {
    parts.push(`${bytes(Math.round(u.rate.perSecond()))}/s`, t('upload.left', { time: duration(left) }));
  }
  return parts.join(' · ');
}

function Buttons({ u, name }: { u: Upload; name: string }) {
  const t = useText();
  const button = (label: string, icon: React.ReactNode, run: () => void) => (
    <Tooltip title={label}>
      <Button type="text" size="small" icon={icon} aria-label={label} onClick={run} />
    </Tooltip>
  );
  return (
    <span className="nowrap">
      {u.state === 'paused' && button(t('upload.resume_of', { name }), <PlayCircleOutlined />, () => uploads.resume([u]))}
      {(u.state === 'failed' || u.state === 'cancelled') && button(t('upload.retry_of', { name }), <ReloadOutlined />, () => uploads.resume([u]))}
      {isLiving(u) && u.state !== 'paused' && button(t('upload.pause_of', { name }), <PauseOutlined />, () => uploads.pause([u]))}
      {isLiving(u) && button(t('upload.cancel_of', { name }), <CloseOutlined />, () => uploads.cancel([u]))}
    </span>
  );
}

export function UploadRow({ upload: u }: { upload: Upload }) {
  const t = useText();
  const name = shown(lastOf(u.raw));
  const text = state(t, u);
  return (
    <div role="listitem" className={`upload upload-${u.state}`} style={{ height: ROW }} title={u.name}>
      <div className="upload-line">
        {u.state === 'done' && <CheckCircleFilled className="upload-good" />}
        {u.state === 'failed' && <CloseCircleFilled className="upload-bad" />}
        <Link to={pageOf(u.place, parentOf(u.raw))} className="grow ellipsis">
          <bdi>{name}</bdi>
        </Link>
        <Buttons u={u} name={name} />
      </div>
      {u.state === 'done' && u.sha256 ? (
        <Typography.Text className="upload-sum mono" type="secondary" copyable={{ text: u.sha256 }}>
          {t('upload.sha256', { sum: `${u.sha256.slice(0, 16)}…` })}
        </Typography.Text>
      ) : (
        isLiving(u) && <Progress percent={u.size ? (100 * u.sent) / u.size : 0} showInfo={false} size="small" aria-label={name} status={u.state === 'sending' ? 'active' : 'normal'} />
      )}
      <div className="upload-state secondary ellipsis" title={text}>
        {text}
      </div>
    </div>
  );
}
