// What the server runs with. It is changed in strata.yaml, where it can be reviewed, not here.
import { Card, Checkbox, Input, Skeleton, Tag, Typography } from 'antd';
import { useSettings, type Setting } from '../../api/admin';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useServerText, useText } from '../../i18n';
import { en, type Key } from '../../i18n/en';

function sectionsOf(settings: Setting[]): [string, Setting[]][] {
  const sections = new Map<string, Setting[]>();
  for (const s of settings) {
    const head = s.key.split('.')[0] ?? '';
    sections.set(head, [...(sections.get(head) ?? []), s]);
  }
  return [...sections];
}

function Row({ setting }: { setting: Setting }) {
  const t = useText();
  const say = useServerText();
  const unitName = (unit: string) => (`admin.unit_${unit}` in en ? t(`admin.unit_${unit}` as Key) : unit);
  const shown = (v: string) => (v === '' ? t('admin.empty') : v);
  return (
    <li className="setting">
      <div className="setting-key">
        <Typography.Text className="mono break" copyable={{ text: setting.key }}>
          {setting.key}
        </Typography.Text>
        <div className="secondary break">{say(setting.help)}</div>
      </div>
      <div className="setting-value">
        <code className="mono break">{shown(setting.value)}</code> {setting.changed && <Tag className="state state-active">{t('admin.changed')}</Tag>}
        <div className="secondary break">
          {t('admin.default', { value: shown(setting.default) })}
          {setting.unit && ` · ${t('admin.unit', { unit: unitName(setting.unit) })}`}
        </div>
      </div>
    </li>
  );
}

export default function Settings() {
  const t = useText();
  const settings = useSettings();
  const [q, setQ] = useParam('q');
  const [changed, setChanged] = useParam('changed');
  const say = useServerText();
  const wanted = q.trim().toLowerCase();
  const rows = (settings.data?.items ?? []).filter((s) => (!changed || s.changed) && `${s.key} ${s.help} ${say(s.help)}`.toLowerCase().includes(wanted));
  return (
    <>
      <PageHead title={t('admin.settings')} commands={[{ cli: 'strata server settings', url: '/api/v1/settings' }]} />
      <Typography.Paragraph type="secondary">{t('admin.settings_hint')}</Typography.Paragraph>
      <div className="filters">
        <Input.Search allowClear value={q} placeholder={t('admin.filter_settings')} aria-label={t('admin.filter_settings')} onChange={(e) => setQ(e.target.value)} />
        <Checkbox checked={changed === '1'} onChange={(e) => setChanged(e.target.checked ? '1' : '')}>
          {t('admin.only_changed')}
        </Checkbox>
      </div>
      {settings.error ? (
        <ErrorView error={settings.error} retry={() => void settings.refetch()} />
      ) : !settings.data ? (
        <Skeleton active />
      ) : rows.length === 0 ? (
        <Typography.Text type="secondary">{t('admin.settings_none')}</Typography.Text>
      ) : (
        sectionsOf(rows).map(([section, items]) => (
          <Card key={section} title={section} size="small" className="section">
            <ul className="plain">
              {items.map((s) => (
                <Row key={s.key} setting={s} />
              ))}
            </ul>
          </Card>
        ))
      )}
    </>
  );
}
