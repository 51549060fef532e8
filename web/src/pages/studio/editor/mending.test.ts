import { describe, expect, it } from 'vitest';
import type { Module } from '../../../api/studio';
import { mendingsOf } from './mending';

const param = (name: string, choices?: string[]) => ({ name, type: choices ? 'choice' : 'text', required: false, help: '', ...(choices ? { choices } : {}) });
const module = (...params: ReturnType<typeof param>[]) => ({ name: 'm', params, inputs: [], outputs: [] }) as unknown as Module;
const LEARNS = module(param('missing', ['error', 'mean']), param('label_col'));
const MISSING = "m: column 'a', row 3: the value is missing; fill it with impute, or train with missing=mean, which puts the column's mean in its place";
const KILLED = 'killed: out of memory: it had 64Mi and needs more, about 96Mi by what is known: write memory: 96Mi in the step, or let it have fewer rows or columns';

describe('what the error of a run offers', () => {
  it('is a choice that the module has', () => {
    expect(mendingsOf(MISSING, { module: 'm', params: { l2: 1 } }, LEARNS)).toEqual([{ name: 'missing', value: 'mean', node: { module: 'm', params: { l2: 1, missing: 'mean' } } }]);
  });

  it('is nothing where the step has it already, and nothing that only looks like a parameter', () => {
    expect(mendingsOf(MISSING, { module: 'm', params: { missing: 'mean' } }, LEARNS)).toEqual([]);
    expect(mendingsOf("column 'label_col=mean', missing=often", { module: 'm' }, LEARNS)).toEqual([]);
    expect(mendingsOf(MISSING, { module: 'm' }, undefined)).toEqual([]);
  });

  it('is the memory that it would need, as a parameter where the module has one', () => {
    expect(mendingsOf(KILLED, { module: 'm' }, LEARNS)).toEqual([{ name: 'memory', value: '96Mi', node: { module: 'm', memory: '96Mi' } }]);
    expect(mendingsOf(KILLED, { module: 'm' }, module(param('memory')))[0]?.node).toEqual({ module: 'm', params: { memory: '96Mi' } });
    expect(mendingsOf(KILLED, { module: 'm', memory: '96Mi' }, LEARNS)).toEqual([]);
  });
});
