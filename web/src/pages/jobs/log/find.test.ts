import { expect, it } from 'vitest';
import { hitsIn } from './find';

const bytes = (s: string) => new TextEncoder().encode(s);

it('finds all places with the offsets of their lines', () => {
  expect(hitsIn(bytes('äö\nFox fox\n\nno\nthe fox'), 10, 'fox')).toEqual([
    { at: 15, nth: 0 },
    { at: 15, nth: 1 },
    { at: 27, nth: 0 },
  ]);
});

it('looks through colours and bytes that are no UTF-8', () => {
  const odd = new Uint8Array([0xff, 0xe8, 10, ...bytes('e\x1b[31mrr\x1b[0mor\n'), 0xc3, 10, ...bytes('error')]);
  expect(hitsIn(odd, 0, 'error')).toEqual([{ at: 3, nth: 0 }, { at: 20, nth: 0 }]);
});
