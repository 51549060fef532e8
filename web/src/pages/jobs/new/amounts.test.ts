import { expect, it } from 'vitest';
import { bytesOf, cores, cpuSteps, memorySteps, nearest } from './amounts';

it('offers steps up to what there is', () => {
  expect(cpuSteps(3)).toEqual(['100m', '250m', '500m', '1', '2', '3']);
  expect(memorySteps(3 * 1024 ** 3)).toEqual(['64Mi', '128Mi', '256Mi', '512Mi', '1Gi', '1.5Gi', '2Gi', '3Gi']);
});

it('reads amounts and finds the nearest step', () => {
  expect(cores('500m')).toBe(0.5);
  expect(cores('x')).toBeNaN();
  expect(bytesOf('1.5Gi')).toBe(1.5 * 1024 ** 3);
  expect(bytesOf('67108864')).toBe(64 * 1024 ** 2);
  expect(bytesOf('many')).toBeNaN();
  expect(nearest(['64Mi', '128Mi', '256Mi'], bytesOf('120Mi'), bytesOf)).toBe(1);
});
