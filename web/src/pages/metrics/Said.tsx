// A sentence of the server that came as data: in the user's language where there is a translation, else in English.
import { serverText } from '../../i18n/server';

export function Said({ text }: { text: string }) {
  const said = serverText(text);
  return (
    <div className="break" lang={said === text ? 'en' : undefined}>
      {said}
    </div>
  );
}
