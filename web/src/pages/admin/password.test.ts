import { expect, it } from 'vitest';
import { newPassword } from './password';

it('makes passwords that can be read out, each another', () => {
  const made = new Set(Array.from({ length: 200 }, () => newPassword()));
  expect(made.size).toBe(200);
  made.forEach((p) => expect(p).toMatch(/^[a-hjkmnp-z2-9]{20}$/));
});
