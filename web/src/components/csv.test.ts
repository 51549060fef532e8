import { expect, it } from 'vitest';
import { csvOf } from './csv';

it('quotes what needs it, and makes no formula of a text from outside', () => {
  expect(csvOf(['a', 'b'], [['x,y', 'say "hi"'], ['two\nlines', null], [-3, '=1+1'], ['@cmd', '-x']])).toBe(
    'a,b\r\n"x,y","say ""hi"""\r\n"two\nlines",\r\n-3,\'=1+1\r\n\'@cmd,\'-x\r\n',
  );
});
