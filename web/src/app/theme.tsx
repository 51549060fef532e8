// Colours and sizes. Light and dark have AA contrast (axe-core checks it); a choice is kept in this browser.
import { StyleProvider } from '@ant-design/cssinjs';
import { App as AntApp, ConfigProvider, theme as antTheme, type ThemeConfig } from 'antd';
import { createContext, startTransition, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useLanguage, type Language } from '../i18n';

export type Appearance = 'light' | 'dark' | 'auto';
const STORED = 'strata.appearance';

const Context = createContext<{ appearance: Appearance; dark: boolean; choose: (a: Appearance) => void }>({
  appearance: 'auto',
  dark: false,
  choose: () => undefined,
});
export const useAppearance = () => useContext(Context);

const system = matchMedia('(prefers-color-scheme: dark)');
const motion = !matchMedia('(prefers-reduced-motion: reduce)').matches;

const font =
  "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans TC', 'Noto Sans CJK TC', 'PingFang TC', 'Microsoft JhengHei', sans-serif";

const light: ThemeConfig = {
  algorithm: antTheme.defaultAlgorithm,
  token: {
    motion,
    colorPrimary: '#0b6e6e',
    colorPrimaryBg: '#e0f1ef',
    colorPrimaryBgHover: '#cfe8e5',
    colorInfo: '#0b6e6e',
    colorLink: '#0b6e6e',
    colorSuccess: '#1d7a3e',
    colorWarning: '#9a5b00',
    colorError: '#c0281c',
    colorSuccessBg: '#e6f5ea', // what is derived from dark colours is grey
    colorSuccessBorder: '#a9d8b7',
    colorWarningBg: '#fdf3e0',
    colorWarningBorder: '#e3c48a',
    colorInfoBg: '#e6f3f2',
    colorInfoBorder: '#a8d3cf',
    colorTextSecondary: '#4d5a5c',
    colorTextTertiary: '#5c696b',
    colorTextDescription: '#4d5a5c',
    colorTextPlaceholder: '#667274',
    colorBgLayout: '#f4f6f6',
    borderRadius: 6,
    fontFamily: font,
  },
};

const dark: ThemeConfig = {
  algorithm: antTheme.darkAlgorithm,
  token: {
    motion,
    colorPrimary: '#3cc4bc', // the dark algorithm dims it
    colorInfo: '#3cc4bc',
    colorError: '#ff7d70',
    colorLink: '#5fd3c8',
    colorTextSecondary: '#b3bfc0',
    colorTextTertiary: '#a3b0b1',
    colorTextDescription: '#b3bfc0',
    colorTextPlaceholder: '#93a1a2',
    colorTextLightSolid: '#001514',
    colorBgLayout: '#0d1414',
    colorBgContainer: '#141d1d',
    colorBgElevated: '#1a2525',
    borderRadius: 6,
    fontFamily: font,
  },
  components: { Menu: { itemSelectedColor: '#8be3da' } },
};

const antLocales: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import('antd/locale/en_US'),
  'zh-TW': () => import('antd/locale/zh_TW'),
  'zh-CN': () => import('antd/locale/zh_CN'),
};

export function ThemeProvider({ children }: { children: ReactNode }) {
  const { language } = useLanguage();
  const [appearance, setAppearance] = useState<Appearance>(
    () => (localStorage.getItem(STORED) as Appearance | null) ?? 'auto',
  );
  const [systemDark, setSystemDark] = useState(system.matches);
  const [locale, setLocale] = useState<object>();
  useEffect(() => {
    const changed = () => setSystemDark(system.matches);
    system.addEventListener('change', changed);
    return () => system.removeEventListener('change', changed);
  }, []);
  useEffect(() => {
    void antLocales[language]().then((m) => startTransition(() => setLocale(m.default)));
  }, [language]);
  const isDark = appearance === 'dark' || (appearance === 'auto' && systemDark);
  useEffect(() => {
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
  }, [isDark]);
  const value = useMemo(
    () => ({
      appearance,
      dark: isDark,
      choose: (a: Appearance) => {
        localStorage.setItem(STORED, a);
        startTransition(() => setAppearance(a)); // all that is drawn changes: between other things
      },
    }),
    [appearance, isDark],
  );
  return (
    <Context.Provider value={value}>
      <StyleProvider layer>
        <ConfigProvider theme={isDark ? dark : light} locale={locale as never} wave={{ disabled: true }} button={{ autoInsertSpace: false }}>
          <AntApp style={{ minHeight: '100vh' }}>{children}</AntApp>
        </ConfigProvider>
      </StyleProvider>
    </Context.Provider>
  );
}
