import { describe, expect, it } from 'vitest';
import { join, split } from './words';

describe('split', () => {
  it('splits at blanks, keeps what quotes hold', () => {
    expect(split(`sh -c 'echo "hi  there"'  --x="a b"`).words).toEqual(['sh', '-c', 'echo "hi  there"', '--x=a b']);
  });
  it('keeps empty words and escaped blanks', () => {
    expect(split(`a '' b\\ c "" "\\"" "\\n"`).words).toEqual(['a', '', 'b c', '', '"', '\\n']);
  });
  it('tells an open quote and what needs a shell', () => {
    expect(split(`echo 'x`).isOpen).toBe(true);
    expect(split('echo a | wc').wantsShell).toBe(true);
    expect(split(`sh -c 'echo $A | wc'`).wantsShell).toBe(false);
    expect(split('echo "$A"').wantsShell).toBe(true);
  });
  it('reads back what join writes', () => {
    const words = ['sh', '-c', `it's "a" $test\nof \\ two lines`, '', 'ä 資料', '--a=b/c:1,2'];
    expect(split(join(words)).words).toEqual(words);
  });
});
