import { describe, expect, it } from 'vitest';
import { EMPTY, readForm, syntaxOf, writeForm, yamlOf, type FormSpec } from './spec';

const TEXT = `# Learns to read digits.
name: digits
image: library/strata-ml:latest  # the newest
command:
  - strata-ml # the program
  - chain
unknown: stays
env: {N: 007}
resources: {cpu: 2, memory: 1Gi}
volumes:
  - {name: digits, path: /data, mode: rw}
`;

const change = (text: string, part: Partial<FormSpec>) => {
  const before = readForm(text) as FormSpec;
  return writeForm(text, before, { ...before, ...part });
};

describe('the form and the text', () => {
  it('reads every field', () => {
    expect(readForm(TEXT)).toEqual({
      ...EMPTY,
      name: 'digits',
      image: 'library/strata-ml:latest',
      command: ['strata-ml', 'chain'],
      env: [{ name: 'N', value: '007' }],
      cpu: '2',
      memory: '1Gi',
      volumes: [{ name: 'digits', path: '/data', mode: 'rw' }],
    });
  });
  it('changes only what changed: comments and unknown keys stay', () => {
    const text = change(TEXT, { image: 'demo/x:1', cpu: '500m', timeout: '10m' });
    expect(text).toContain('# Learns to read digits.');
    expect(text).toContain('image: demo/x:1 # the newest');
    expect(text).toContain('- strata-ml # the program');
    expect(text).toContain('unknown: stays');
    expect(text).toContain('{cpu: 500m, memory: 1Gi}');
    expect(text.indexOf('timeout')).toBeGreaterThan(text.indexOf('volumes'));
    expect(change(TEXT, {})).toBe(TEXT);
  });
  it('begins with nothing, in the order people write', () => {
    const text = change('', { retries: '2', image: 'a/b:1', cpu: '2', env: [{ name: 'A', value: '1' }, { name: '', value: 'typed' }], command: ['sh', '-c', 'echo hi'] });
    expect(text).toBe('image: a/b:1\ncommand: [sh, -c, echo hi]\nenv: {A: "1"}\nresources: {cpu: 2}\nretries: 2\n');
    expect(change(text, { image: '', cpu: '', env: [], command: [], retries: '' })).toBe('');
  });
  it('round-trips odd words', () => {
    const command = ['sh', '-c', 'a: b # c\n"quoted" \\ {x}', '', '- 1', '2', 'true', '~'];
    expect(readForm(change('', { command }))?.command).toEqual(command);
  });
  it('says where the text is no YAML', () => {
    expect(syntaxOf('a: [1\nb: 2')[0]?.line).toBeGreaterThan(0);
    expect(readForm('a: [1')).toBeNull();
    expect(syntaxOf('just words')[0]?.line).toBe(1);
    expect(syntaxOf('')).toEqual([]);
  });
});

it('writes the spec of a job without its defaults', () => {
  expect(
    yamlOf({
      name: 'x', image: 'demo/busybox:1', command: ['sh'], network: 'none', grace: '10s', retries: 2,
      resources: { cpu: '100m', memory: 67108864, gpu: 0, pids: 1024 },
      volumes: [{ name: 'd', path: '/d', mode: 'ro' }],
    }),
  ).toBe('name: x\nimage: demo/busybox:1\ncommand: [sh]\nresources: {cpu: 100m, memory: 64Mi}\nvolumes:\n  - {name: d, path: /d}\nretries: 2\n');
});
