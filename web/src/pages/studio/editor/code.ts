// What keys do in a program that is typed: Tab indents to the next four, Enter keeps the indent of its line, and deepens it behind a colon.
export interface Change {
  text: string;
  from: number;
  to: number;
}

export function edited(value: string, start: number, end: number, key: string): Change | null {
  const line = value.slice(value.lastIndexOf('\n', start - 1) + 1, start);
  if (key === 'Tab') {
    return { text: ' '.repeat(4 - (line.length % 4)), from: start, to: end };
  }
  if (key === 'Enter') {
    const indent = /^[ \t]*/.exec(line)![0];
    return { text: `\n${indent}${/:\s*$/.test(line) ? '    ' : ''}`, from: start, to: end };
  }
  if (key === 'Backspace' && start === end && line !== '' && /^ +$/.test(line)) {
    return { text: '', from: start - (((line.length - 1) % 4) + 1), to: start };
  }
  return null;
}
