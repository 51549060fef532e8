// A long list of rows of one height, of which only those in sight exist.
import { useEffect, useRef, useState, type ReactNode } from 'react';

const BEYOND = 8; // rows kept above and below what is in sight
const STEP = 4; // rows

interface Props {
  count: number;
  rowHeight: number;
  row: (index: number) => ReactNode;
  label: string;
  className?: string;
  /** What the box that scrolls is, and what the box of the rows in it is, for those who cannot see it. */
  role?: 'region' | 'table' | 'rowgroup' | 'list';
  innerRole?: 'rowgroup' | 'presentation';
  rowCount?: number;
  maxHeight?: number;
  head?: ReactNode; // scrolls sideways with the rows
  minWidth?: number | string;
  onNearEnd?: () => void;
}

export function VirtualRows(props: Props) {
  const { count, rowHeight, onNearEnd } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useEffect(() => {
    const el = box.current;
    if (!el) {
      return undefined;
    }
    // Drawn anew when another step comes into sight, not at each pixel.
    const step = STEP * rowHeight;
    const look = () => {
      const top = Math.floor(el.scrollTop / step) * step;
      const height = el.clientHeight + step;
      setView((old) => (old.top === top && old.height === height ? old : { top, height }));
    };
    const observer = new ResizeObserver(look);
    observer.observe(el);
    el.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      el.removeEventListener('scroll', look);
    };
  }, [rowHeight]);
  const first = Math.max(0, Math.min(Math.floor(view.top / rowHeight) - BEYOND, count - 1));
  const end = Math.min(count, Math.ceil((view.top + view.height) / rowHeight) + BEYOND);
  const isNearEnd = end >= count - 50;
  const nearEnd = useRef(onNearEnd);
  nearEnd.current = onNearEnd;
  useEffect(() => {
    if (isNearEnd) {
      nearEnd.current?.();
    }
  }, [isNearEnd, count]);
  const rows: ReactNode[] = [];
  for (let i = first; i < end; i++) {
    rows.push(props.row(i));
  }
  return (
    <div
      ref={box}
      className={`virtual ${props.className ?? ''}`}
      tabIndex={0}
      role={props.role ?? 'region'}
      aria-label={props.label}
      aria-rowcount={props.rowCount}
      style={{ maxHeight: props.maxHeight }}
    >
      {props.head}
      <div role={props.innerRole ?? 'presentation'} style={{ height: count * rowHeight, minWidth: props.minWidth, position: 'relative' }}>
        <div role="presentation" style={{ position: 'absolute', insetInline: 0, top: first * rowHeight }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
