// A field of the form with its label, a hint, and the mistakes that the server found in it.
import { Form } from 'antd';
import type { ReactNode } from 'react';
import type { Mistake } from '../../../api/client';
import { useServerText } from '../../../i18n';

/** The mistakes of a key and of all below it: volumes, volumes[0].path. */
export const mistakesOf = (mistakes: Mistake[], key: string): Mistake[] =>
  mistakes.filter((m) => m.key === key || m.key.startsWith(`${key}.`) || m.key.startsWith(`${key}[`));

interface Props {
  label: ReactNode;
  keys: string; // of the spec, with spaces between
  mistakes: Mistake[];
  id?: string; // of the input
  hint?: ReactNode;
  children: ReactNode;
}

export function Field({ label, keys, mistakes, id, hint, children }: Props) {
  const say = useServerText();
  const mine = keys.split(' ').flatMap((k) => mistakesOf(mistakes, k));
  return (
    <Form.Item
      label={label}
      htmlFor={id}
      extra={hint}
      validateStatus={mine.length > 0 ? 'error' : undefined}
      help={
        mine.length > 0
          ? mine.map((m) => (
              <div key={m.key + m.message} role="alert">
                {m.key === keys ? say(m.message) : `${m.key}: ${say(m.message)}`}
              </div>
            ))
          : undefined
      }
    >
      {children}
    </Form.Item>
  );
}
