import { expect, it } from 'vitest';
import { auditUrl } from '../../api/admin';
import { dayEdge, filterOf } from './auditText';
import { en } from '../../i18n/en';
import { groupsOf, permissionKey } from './permissions';

const of = (params: Record<string, string>) => filterOf((n) => params[n] ?? '', new Date('2026-11-27T12:34:56.789Z'));

it('asks the server for what the address says', () => {
  expect(auditUrl(of({}))).toBe('/api/v1/audit');
  expect(auditUrl(of({ user: ' ada ', q: 'jobs&x', time: 'hour' }))).toBe('/api/v1/audit?user=ada&q=jobs%26x&since=2026-11-27T11%3A34%3A00.000Z');
});

it('takes whole days of the reader', () => {
  const from = new Date(dayEdge('2026-11-27', false));
  const to = new Date(dayEdge('2026-11-27', true));
  expect([from.getHours(), from.getDate(), to.getHours(), to.getDate()]).toEqual([0, 27, 23, 27]);
  expect(dayEdge('yesterday', false)).toBe('');
});

it('groups permissions and has words for each', () => {
  const groups = groupsOf({ guest: ['public', 'job:read'], admin: ['public', 'job:read', 'job:submit'] });
  expect(groups).toEqual([['everyone', ['public']], ['job', ['job:read', 'job:submit']]]);
  for (const p of ['public', 'signed-in', 'system:read', 'user:manage', 'image:delete', 'secret:write']) {
    expect(en).toHaveProperty([permissionKey(p)]);
  }
});
