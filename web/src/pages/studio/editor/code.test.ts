import { describe, expect, it } from 'vitest';
import { edited } from './code';

const typed = (value: string, key: string, at = value.length) => {
  const change = edited(value, at, at, key);
  return change ? value.slice(0, change.from) + change.text + value.slice(change.to) : null;
};

describe('keys in a program', () => {
  it('Tab goes to the next four', () => {
    expect(typed('', 'Tab')).toBe('    ');
    expect(typed('ab', 'Tab')).toBe('ab  ');
    expect(typed('x\nabcd', 'Tab')).toBe('x\nabcd    ');
  });
  it('Enter keeps the indent, and deepens it behind a colon', () => {
    expect(typed('    a = 1', 'Enter')).toBe('    a = 1\n    ');
    expect(typed('if a:', 'Enter')).toBe('if a:\n    ');
    expect(typed('  for a in b: ', 'Enter')).toBe('  for a in b: \n      ');
    expect(typed('ab', 'Enter', 1)).toBe('a\nb');
  });
  it('Backspace takes an indent away as a whole', () => {
    expect(typed('        ', 'Backspace')).toBe('    ');
    expect(typed('      ', 'Backspace')).toBe('    ');
    expect(typed('a ', 'Backspace')).toBe(null);
    expect(typed('', 'Backspace')).toBe(null);
  });
  it('others are the browser’s', () => {
    expect(typed('a', 'b')).toBe(null);
  });
});
