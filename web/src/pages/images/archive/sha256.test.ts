import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { digestOf, Sha256 } from './sha256';

it('gives what everybody gives, at every length around a block and in any pieces', () => {
  const data = new Uint8Array(300).map((_, i) => (i * 7) % 256);
  for (let n = 0; n <= data.length; n++) {
    const part = data.subarray(0, n);
    const sum = new Sha256();
    for (let at = 0; at < n; at += 37) {
      sum.update(part.subarray(at, Math.min(at + 37, n)));
    }
    expect(sum.hex()).toBe(createHash('sha256').update(part).digest('hex'));
  }
});

it('names digests as registries do', async () => {
  expect(await digestOf(new TextEncoder().encode('abc'))).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
