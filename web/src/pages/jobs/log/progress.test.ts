import { expect, it } from 'vitest';
import { lastProgress, progressOf, remainingMs } from './progress';

it('reads the progress of a chain', () => {
  const p = progressOf('{"t":"progress","module":"mlp","step":4,"steps":6,"done":0.5,"text":"epoch 40 of 80"}');
  expect(p).toEqual({ part: 3.5 / 6, module: 'mlp', step: 4, steps: 6, text: 'epoch 40 of 80' });
  expect(progressOf('{"t":"progress","done":')).toBeNull();
  expect(progressOf('progress')).toBeNull();
});

it('takes the last one', () => {
  const line = (text: string) => ({ at: 0, text, look: {} });
  expect(lastProgress([line('{"t":"progress","done":1}'), line('{"t":"progress","done":0.25}'), line('x')])?.part).toBe(0.25);
});

it('estimates only when it can', () => {
  expect(remainingMs(0.25, 10_000)).toBe(30_000);
  expect(remainingMs(0.001, 10_000)).toBeNull();
});
