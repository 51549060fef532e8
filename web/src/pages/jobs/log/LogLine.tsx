// A line of a log: colours as spans, what was searched for as marks. Text stays text: nothing becomes HTML.
import { memo, type CSSProperties, type ReactNode } from 'react';
import { parse, visible, type Look } from './ansi';
import type { Line } from './lines';

function styleOf(look: Look): { className?: string; style?: CSSProperties } {
  const classes: string[] = [];
  const style: CSSProperties = {};
  const fore = look.inverse ? look.background : look.color;
  const back = look.inverse ? (look.color ?? 'text') : look.background;
  if (typeof fore === 'number') {
    classes.push(`ansi-${fore}`);
  } else if (fore) {
    style.color = fore;
  } else if (look.inverse) {
    classes.push('ansi-inverse');
  }
  if (typeof back === 'number') {
    classes.push(`ansi-on-${back}`);
  } else if (back && back !== 'text') {
    style.background = back;
  }
  for (const name of ['bold', 'dim', 'italic', 'underline'] as const) {
    if (look[name]) {
      classes.push(`ansi-${name}`);
    }
  }
  return { className: classes.join(' ') || undefined, style };
}

/** Where `needle` (lower case) is in the text. */
function places(text: string, needle: string): number[] {
  const found: number[] = [];
  if (needle) {
    const lower = text.toLowerCase();
    for (let i = lower.indexOf(needle); i >= 0 && found.length < 500; i = lower.indexOf(needle, i + needle.length)) {
      found.push(i);
    }
  }
  return found;
}

/** [from, to) of the text, with those parts marked that lie in a place. */
function marked(text: string, base: number, at: number[], length: number, current: number): ReactNode {
  const parts: ReactNode[] = [];
  let from = 0;
  at.forEach((place, nth) => {
    const a = Math.max(0, place - base);
    const b = Math.min(text.length, place + length - base);
    if (b > a) {
      parts.push(text.slice(from, a));
      parts.push(
        <mark key={place} className={nth === current ? 'now' : undefined}>
          {text.slice(a, b)}
        </mark>,
      );
      from = b;
    }
  });
  return parts.length === 0 ? text : [...parts, text.slice(from)];
}

export const LogLine = memo(function LogLine(props: { line: Line; number: number | null; needle: string; current: number }) {
  const { pieces } = parse(visible(props.line.text), props.line.look);
  const text = pieces.map((p) => p.text).join('');
  const at = places(text, props.needle);
  let base = 0;
  return (
    <>
      {props.number !== null && (
        <span className="log-number" aria-hidden>
          {props.number}
        </span>
      )}
      <span className="log-text">
        {pieces.map((p, i) => {
          const content = marked(p.text, base, at, props.needle.length, props.current);
          base += p.text.length;
          return (
            <span key={i} {...styleOf(p.look)}>
              {content}
            </span>
          );
        })}
        {'\n'}
      </span>
    </>
  );
});
