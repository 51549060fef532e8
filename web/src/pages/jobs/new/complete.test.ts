import { expect, it } from 'vitest';
import { completionsAt, parentOf } from './complete';

const known = { images: ['demo/busybox:1'], volumes: ['digits'], secrets: ['api-key'] };
const labels = (text: string, explicit = false) => {
  const pos = text.indexOf('|');
  const got = completionsAt(text.replace('|', ''), pos, explicit, known, (k) => k);
  return got?.options.map((o) => o.label) ?? null;
};

it('knows the parent by indentation', () => {
  expect(parentOf(['resources:', '  cpu: 2', '  '], 2)).toBe('resources');
  expect(parentOf(['volumes:', '  - name: x', '    '], 2)).toBe('volumes');
  expect(parentOf(['image: x', ''], 1)).toBe('');
});

it('offers keys and values for the place', () => {
  expect(labels('im|')).toContain('image');
  expect(labels('|')).toBeNull();
  expect(labels('image: x\n|', true)).toContain('resources');
  expect(labels('resources:\n  m|')).toEqual(['cpu', 'memory', 'gpu', 'pids']);
  expect(labels('image: de|')).toEqual(['demo/busybox:1']);
  expect(labels('volumes:\n  - name: |')).toEqual(['digits']);
  expect(labels('volumes:\n  - {name: digits, mode: r|}')).toEqual(['ro', 'rw']);
  expect(labels('secrets: {KEY: |}')).toEqual(['api-key']);
  expect(labels('command: [s|')).toBeNull();
});
