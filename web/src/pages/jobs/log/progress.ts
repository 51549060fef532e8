// Progress that strata-ml prints (docs/formats/progress.md): lines that begin with {"t":.
import type { Line } from './lines';

export interface Progress {
  part: number; // of the whole chain, 0 … 1
  module: string;
  step: number;
  steps: number;
  text: string;
}

export function progressOf(text: string): Progress | null {
  if (!text.startsWith('{"t":"progress"')) {
    return null;
  }
  try {
    const p = JSON.parse(text) as Record<string, unknown>;
    const number = (v: unknown, otherwise: number) => (typeof v === 'number' && Number.isFinite(v) ? v : otherwise);
    const steps = Math.max(1, number(p.steps, 1));
    const step = Math.min(steps, Math.max(1, number(p.step, 1)));
    const done = Math.min(1, Math.max(0, number(p.done, 0)));
    return { part: (step - 1 + done) / steps, module: String(p.module ?? ''), step, steps, text: String(p.text ?? '') };
  } catch {
    return null; // cut off
  }
}

/** The last progress among the last lines. */
export function lastProgress(lines: Line[]): Progress | null {
  for (let i = lines.length - 1; i >= Math.max(0, lines.length - 2000); i--) {
    const p = progressOf((lines[i] as Line).text);
    if (p) {
      return p;
    }
  }
  return null;
}

/** How much longer, when it goes on as fast as it did; null: too early to tell. */
export function remainingMs(part: number, sinceMs: number): number | null {
  return part < 0.02 || sinceMs < 2000 || part >= 1 ? null : (sinceMs * (1 - part)) / part;
}
