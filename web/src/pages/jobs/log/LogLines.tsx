// The lines one sees of those that are there. Only they are in the page; what stands at the top stays in its place
// when lines come before it or go.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import type { Line } from './lines';
import { LogLine } from './LogLine';
import type { Hit } from './find';

const ROW = 20; // px, as jobs.css has it
const SPARE = 12; // rows above and below

interface Props {
  lines: Line[];
  firstNumber: number | null;
  wrap: boolean;
  needle: string;
  current: Hit | null;
  following: boolean;
  toStart: number; // counts: each time it grows, the beginning is shown
  onFollow: (on: boolean) => void;
  onNearTop: () => void;
  onNearBottom: () => void;
  label: string;
}

/** The last index whose value is not above `v`. */
export function indexAt(tops: number[], v: number): number {
  let lo = 0;
  let hi = tops.length - 1;
  while (lo < hi) {
    const mid = Math.ceil((lo + hi) / 2);
    if ((tops[mid] as number) <= v) {
      lo = mid;
    } else {
      hi = mid - 1;
    }
  }
  return Math.max(0, lo);
}

export function LogLines(props: Props) {
  const { lines, wrap, following, current } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, width: 800 });
  const heights = useRef(new Map<number, number>());
  const [measured, setMeasured] = useState(0);
  const anchor = useRef({ at: 0, below: 0 });
  const placed = useRef(-1); // the scrollTop we set ourselves

  const tops = useMemo(() => {
    const columns = Math.max(20, Math.floor((view.width - 90) / 7.8));
    const all = new Array<number>(lines.length + 1);
    let y = 0;
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i] as Line;
      all[i] = y;
      y += wrap ? (heights.current.get(line.at) ?? ROW * Math.max(1, Math.ceil(line.text.length / columns))) : ROW;
    }
    all[lines.length] = y;
    return all;
    // eslint-disable-next-line react-hooks/exhaustive-deps -- measured: heights changed
  }, [lines, wrap, view.width, measured]);
  const total = tops[lines.length] as number;

  useEffect(() => {
    const el = box.current as HTMLDivElement;
    const sized = new ResizeObserver(() => {
      heights.current.clear();
      setMeasured((n) => n + 1);
      setView((v) => ({ ...v, height: el.clientHeight, width: el.clientWidth }));
    });
    sized.observe(el);
    return () => sized.disconnect();
  }, []);
  useEffect(() => heights.current.clear(), [wrap]);

  const place = useCallback((top: number) => {
    const el = box.current as HTMLDivElement;
    el.scrollTop = top;
    placed.current = el.scrollTop;
    setView((v) => (v.top === el.scrollTop ? v : { ...v, top: el.scrollTop }));
  }, []);

  useLayoutEffect(() => {
    anchor.current = { at: 0, below: 0 };
    placed.current = 0;
  }, [props.toStart]);

  // After every change of the lines: the end, or what was at the top before.
  useLayoutEffect(() => {
    if (following) {
      return place(total);
    }
    const i = lines.findIndex((l) => l.at >= anchor.current.at);
    if (i >= 0) {
      place((tops[i] as number) + anchor.current.below);
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- toStart: the anchor is another one
  }, [lines, tops, total, following, place, props.toStart]);

  // A hit one went to: into the middle.
  useLayoutEffect(() => {
    const i = current ? indexAt(lines.map((l) => l.at), current.at) : -1;
    const line = lines[i];
    if (current && line && line.at === current.at) {
      const el = box.current as HTMLDivElement;
      const top = Math.max(0, (tops[i] as number) - el.clientHeight / 2);
      anchor.current = { at: line.at, below: top - (tops[i] as number) };
      place(top);
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only when one goes to another hit, or its lines came
  }, [current, lines.length > 0 && current ? lines.some((l) => l.at === current.at) : false]);

  const from = Math.max(0, indexAt(tops, view.top) - SPARE);
  const to = Math.min(lines.length, indexAt(tops, view.top + view.height) + SPARE);

  // With wrapped lines a row is as high as its text: what was guessed is corrected.
  const rows = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!wrap || !rows.current) {
      return;
    }
    let differs = false;
    [...rows.current.children].forEach((row, i) => {
      const line = lines[from + i];
      const height = (row as HTMLElement).offsetHeight;
      if (line && heights.current.get(line.at) !== height) {
        heights.current.set(line.at, height);
        differs ||= (tops[from + i + 1] as number) - (tops[from + i] as number) !== height;
      }
    });
    if (differs) {
      setMeasured((n) => n + 1);
    }
  }, [wrap, lines, from, to, tops, view.width]);

  const onScroll = () => {
    const el = box.current as HTMLDivElement;
    const top = el.scrollTop;
    const rest = el.scrollHeight - el.clientHeight - top;
    const i = indexAt(tops, top);
    const line = lines[Math.min(i, lines.length - 1)];
    if (line) {
      anchor.current = { at: line.at, below: top - (tops[i] as number) };
    }
    const byReader = Math.abs(top - placed.current) > 1;
    if (byReader) {
      if (following && rest > ROW * 2 && top < placed.current) {
        props.onFollow(false);
      }
      placed.current = top;
      if (top < 800) {
        props.onNearTop();
      }
      if (rest < 800) {
        props.onNearBottom();
      }
      if (!following && rest < 4) {
        props.onFollow(true);
      }
    }
    setView((v) => (v.top === top ? v : { ...v, top }));
  };

  const onKeyDown = (e: KeyboardEvent) => {
    const el = box.current as HTMLDivElement;
    if (e.key === 'End' && !e.shiftKey) {
      el.scrollTop = el.scrollHeight;
    } else if (e.key === 'Home' && !e.shiftKey) {
      el.scrollTop = 0;
    } else {
      return;
    }
    e.preventDefault();
  };

  return (
    <div
      ref={box}
      className={`log-box${wrap ? ' log-wrap' : ''}`}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <div style={{ height: total, position: 'relative' }}>
        <div ref={rows} className="log-rows" style={{ transform: `translateY(${tops[from] ?? 0}px)` }}>
          {lines.slice(from, to).map((line, i) => (
            <div className="log-row" key={line.at}>
              <LogLine
                line={line}
                number={props.firstNumber === null ? null : props.firstNumber + from + i}
                needle={props.needle}
                current={current?.at === line.at ? current.nth : -1}
              />
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
