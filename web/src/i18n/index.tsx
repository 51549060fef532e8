// Texts in the user's language: const t = useText(); t('overview.of', { free: 1, all: 2 }).
import { createContext, startTransition, useContext, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from 'react';
import { en, type Key, type Messages } from './en';
import { onServerLanguage, serverLanguage, serverText, serverWord, setServerLanguage, type Words } from './server';

export type Language = 'en' | 'zh-TW' | 'zh-CN';
export const LANGUAGES: { code: Language; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'zh-TW', name: '繁體中文' },
  { code: 'zh-CN', name: '简体中文' },
];

const STORED = 'strata.language';

/** The language that fits what the browser asks for best. */
export function fromBrowser(wanted: readonly string[]): Language {
  for (const w of wanted) {
    const l = w.toLowerCase();
    if (/^zh-(tw|hk|mo|hant)/.test(l)) {
      return 'zh-TW';
    }
    if (l.startsWith('zh')) {
      return 'zh-CN';
    }
    if (l.startsWith('en')) {
      return 'en';
    }
  }
  return 'en';
}

export function fill(text: string, values?: Record<string, string | number>): string {
  return values ? text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all)) : text;
}

async function load(language: Language): Promise<Messages> {
  switch (language) {
    case 'zh-TW':
      return (await import('./zh-TW')).zhTW;
    case 'zh-CN':
      return (await import('./zh-CN')).zhCN;
    default:
      return en;
  }
}

export type Text = (key: Key, values?: Record<string, string | number>) => string;

interface I18n {
  language: Language;
  setLanguage: (l: Language) => void;
  t: Text;
}

const Context = createContext<I18n>({ language: 'en', setLanguage: () => undefined, t: (k, v) => fill(en[k], v) });

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(
    () => (localStorage.getItem(STORED) as Language | null) ?? fromBrowser(navigator.languages),
  );
  const [loaded, setLoaded] = useState<{ language: Language; messages: Messages } | null>(
    language === 'en' ? { language: 'en', messages: en } : null,
  );
  useEffect(() => {
    let current = true;
    // What the server says comes later than the page: nobody waits for it.
    void setServerLanguage(language).catch(() => undefined);
    void load(language).then((messages) => {
      if (current) {
        document.documentElement.lang = language;
        startTransition(() => setLoaded({ language, messages }));
      }
    });
    return () => {
      current = false;
    };
  }, [language]);
  const value = useMemo<I18n | null>(
    () =>
      loaded && {
        language: loaded.language,
        setLanguage: (l) => {
          localStorage.setItem(STORED, l);
          setLanguage(l);
        },
        t: (key, values) => fill(loaded.messages[key], values),
      },
    [loaded],
  );
  return value && <Context.Provider value={value}>{children}</Context.Provider>;
}

/** Says a sentence of the server in the user's language: reasons of jobs, findings, mistakes, errors. */
export function useServerText(): (sentence: string) => string {
  useSyncExternalStore(onServerLanguage, serverLanguage);
  return serverText;
}

/** What people call a parameter of a module, or a title, axis or column of a report, where their language has a word for it. */
export function useServerWord(): (kind: Words, name: string) => string | undefined {
  useSyncExternalStore(onServerLanguage, serverLanguage);
  return serverWord;
}

export const useLanguage = () => useContext(Context);
export const useText = (): Text => useContext(Context).t;
export type { Key };
