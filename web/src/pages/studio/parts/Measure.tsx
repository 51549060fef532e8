// What a figure of a report or run is called, in the user's language; files, the command line and the API have its code.
import { useCallback } from 'react';
import { useText } from '../../../i18n';
import { en, type Key } from '../../../i18n/en';

const SPREAD = '_std';

/** A code that nobody has a name for stands as it is: containers and scripts count what they like. */
export function useMeasure(): (code: string) => string {
  const t = useText();
  return useCallback(
    (code) => {
      const nameOf = (c: string) => (Object.hasOwn(en, `measure.${c}`) ? t(`measure.${c}` as Key) : c);
      const of = code.endsWith(SPREAD) ? code.slice(0, -SPREAD.length) : '';
      return of !== '' && nameOf(of) !== of ? t('measure.spread', { name: nameOf(of) }) : nameOf(code);
    },
    [t],
  );
}

/** The name with the code beside it, where they differ. `step`: whose figure it is. */
export function Measure({ code, step }: { code: string; step?: string }) {
  const name = useMeasure()(code);
  const whole = step === undefined ? code : `${step}.${code}`;
  return name === whole ? (
    <code className="break">{whole}</code>
  ) : (
    <>
      {name} {name.toLowerCase() !== whole && <code className="secondary small break">{whole}</code>}
    </>
  );
}
