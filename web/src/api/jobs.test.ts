import { describe, expect, it } from 'vitest';
import { mergeJobs } from './jobs';
import type { Job } from './types';

const job = (n: number, state = 'queued') => ({ id: `j-${n}`, state, created_at: `2026-01-01T00:00:${String(n).padStart(2, '0')}Z` }) as Job;
const ids = (l: { items: Job[] }) => l.items.map((j) => `${j.id}:${j.state}`);
const old = { items: [5, 4, 3, 2, 1].map((n) => job(n)), next: '1' };

describe('mergeJobs', () => {
  it('puts new jobs in front and keeps what lies behind the first page', () => {
    const first = { items: [job(6), job(5, 'running')], next: '5' };
    const now = mergeJobs(old, first, new Map(), { states: '', q: '' });
    expect(ids(now)).toEqual(['j-6:queued', 'j-5:running', 'j-4:queued', 'j-3:queued', 'j-2:queued', 'j-1:queued']);
    expect(now.next).toBe('1');
  });
  it('replaces rows that changed, and drops those that are gone or fit no more', () => {
    const first = { items: [job(5), job(4)], next: '4' };
    const changed = new Map([['j-3', null], ['j-2', job(2, 'failed')], ['j-1', job(1, 'running')]]);
    expect(ids(mergeJobs(old, first, changed, { states: 'queued,running', q: '' }))).toEqual(['j-5:queued', 'j-4:queued', 'j-1:running']);
  });
  it('puts an older job that came into the filter to its place', () => {
    const known = { items: [job(9), job(8), job(6), job(2)], next: null };
    const first = { items: [job(9), job(8)], next: '8' };
    expect(ids(mergeJobs(known, first, new Map([['j-4', job(4)]]), { states: 'queued', q: '' }))).toEqual(['j-9:queued', 'j-8:queued', 'j-6:queued', 'j-4:queued', 'j-2:queued']);
  });
  it('is the first page where there is no other', () => {
    expect(ids(mergeJobs(old, { items: [job(7)], next: null }, new Map(), { states: '', q: '' }))).toEqual(['j-7:queued']);
  });
});
