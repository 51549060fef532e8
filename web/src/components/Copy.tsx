// Copies a text. Lists have many of these, so it is a plain button.
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { useEffect, useState } from 'react';
import { useText } from '../i18n';

export function Copy({ text }: { text: string }) {
  const t = useText();
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = done ? setTimeout(() => setDone(false), 2000) : undefined;
    return () => clearTimeout(timer);
  }, [done]);
  const label = t(done ? 'action.copied' : 'action.copy');
  return (
    <button type="button" className="copy" aria-label={label} title={label} onClick={() => void navigator.clipboard?.writeText(text).then(() => setDone(true))}>
      {done ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
    </button>
  );
}
