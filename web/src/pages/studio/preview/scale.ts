// Numbers to places on a chart, and the round numbers beside its axes.

export interface Scale {
  at: (v: number) => number;
  ticks: number[];
}

/** Round steps that cut a range in about `n` pieces. */
export function ticksOf(min: number, max: number, n: number): number[] {
  const raw = (max - min) / n;
  if (!(raw > 0) || !Number.isFinite(raw)) {
    return [min];
  }
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step); i * step <= max + step * 1e-9 && ticks.length < 50; i++) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks;
}

export function scaleOf(values: number[], from: number, to: number, include: number[] = []): Scale {
  const all = [...values, ...include].filter(Number.isFinite);
  let min = all.reduce((a, b) => Math.min(a, b), Infinity);
  let max = all.reduce((a, b) => Math.max(a, b), -Infinity);
  if (min > max) {
    [min, max] = [0, 1];
  } else if (min === max) {
    [min, max] = [min - 0.5, max + 0.5];
  }
  return { at: (v) => from + ((v - min) / (max - min)) * (to - from), ticks: ticksOf(min, max, 5) };
}

/** At most so many points, evenly; the first and the last among them. */
export function thin<T>(points: T[], most: number): T[] {
  if (points.length <= most) {
    return points;
  }
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))] as T);
}
