// The small menus of the frame: language, appearance, the user.
import { BgColorsOutlined, GlobalOutlined, UserOutlined } from '@ant-design/icons';
import { Button, Dropdown } from 'antd';
import { useNavigate } from 'react-router-dom';
import { LANGUAGES, useLanguage, useText } from '../i18n';
import { useSession } from './session';
import { useAppearance, type Appearance } from './theme';

export function LanguageMenu() {
  const { language, setLanguage, t } = useLanguage();
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        selectable: true,
        selectedKeys: [language],
        items: LANGUAGES.map((l) => ({ key: l.code, label: <span lang={l.code}>{l.name}</span> })),
        onClick: ({ key }) => setLanguage(key as typeof language),
      }}
    >
      <Button type="text" icon={<GlobalOutlined />} aria-label={t('language.title')} />
    </Dropdown>
  );
}

export function AppearanceMenu() {
  const { appearance, choose } = useAppearance();
  const t = useText();
  const kinds: Appearance[] = ['light', 'dark', 'auto'];
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        selectable: true,
        selectedKeys: [appearance],
        items: kinds.map((k) => ({ key: k, label: t(`theme.${k}`) })),
        onClick: ({ key }) => choose(key as Appearance),
      }}
    >
      <Button type="text" icon={<BgColorsOutlined />} aria-label={t('theme.title')} />
    </Dropdown>
  );
}

export function UserMenu() {
  const { me, signOut } = useSession();
  const navigate = useNavigate();
  const t = useText();
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        items: [
          { key: 'account', label: t('user.tokens') },
          { type: 'divider' },
          { key: 'out', label: t('user.sign_out') },
        ],
        onClick: ({ key }) => (key === 'out' ? void signOut() : void navigate('/account')),
      }}
    >
      <Button type="text" icon={<UserOutlined />} aria-label={t('user.menu', { name: me.name })}>
        <span className="wide-only">{me.name}</span>
      </Button>
    </Dropdown>
  );
}
