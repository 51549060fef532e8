// "Really?", with what happens then; what goes wrong is shown where one looks.
import { App } from 'antd';
import type { ReactNode } from 'react';
import { useText } from '../i18n';
import { ErrorView } from './ErrorView';

interface Question {
  title: string;
  consequence: ReactNode;
  ok: string;
  danger?: boolean;
  run: () => Promise<unknown>;
}

export function useConfirm(): (q: Question) => void {
  const { modal } = App.useApp();
  const t = useText();
  return (q) =>
    void modal.confirm({
      title: q.title,
      content: q.consequence,
      okText: q.ok,
      cancelText: t('action.cancel'),
      okButtonProps: { danger: q.danger ?? true },
      autoFocusButton: 'cancel',
      onOk: () =>
        q.run().catch((error: unknown) => {
          modal.error({ icon: null, title: q.title, content: <ErrorView error={error} />, okText: t('action.close') });
        }),
    });
}
