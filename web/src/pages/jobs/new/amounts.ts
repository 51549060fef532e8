// Steps of the sliders: what people ask for, up to what the largest machine has.
import type { Node } from '../../../api/types';

const MIB = 1024 * 1024;

export interface Machine {
  cpu: number; // cores
  cpuFree: number;
  memory: number; // bytes
  memoryFree: number;
  gpus: number;
  gpusFree: number;
}

/** The most that one machine has: a job runs on one. */
export function largest(nodes: Node[]): Machine {
  const most = (of: (n: Node) => number) => Math.max(0, ...nodes.map(of));
  return {
    cpu: most((n) => n.cpu_milli) / 1000,
    cpuFree: most((n) => n.cpu_milli_free) / 1000,
    memory: most((n) => n.memory_bytes),
    memoryFree: most((n) => n.memory_bytes_free),
    gpus: most((n) => n.gpus),
    gpusFree: most((n) => n.gpus_free),
  };
}

export function cpuSteps(cores: number): string[] {
  const steps = ['100m', '250m', '500m'];
  for (let n = 1; n <= cores; n += n < 8 ? 1 : n < 32 ? 4 : 8) {
    steps.push(String(n));
  }
  return steps;
}

export function memorySteps(bytes: number): string[] {
  const steps: string[] = [];
  for (let mib = 64; mib * MIB <= bytes; mib *= 2) {
    steps.push(mib < 1024 ? `${mib}Mi` : `${mib / 1024}Gi`);
    if (mib >= 1024 && mib * 1.5 * MIB <= bytes) {
      steps.push(`${(mib * 1.5) / 1024}Gi`);
    }
  }
  return steps;
}

/** "500m", "2" as cores; NaN: not readable. */
export const cores = (text: string): number => (text.endsWith('m') ? Number(text.slice(0, -1)) / 1000 : text === '' ? NaN : Number(text));

const SIZES: Record<string, number> = { '': 1, Ki: 1024, Mi: MIB, Gi: 1024 * MIB, Ti: 1024 * 1024 * MIB, K: 1e3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

export function bytesOf(text: string): number {
  const m = /^(\d+(?:\.\d+)?)\s*([KMGT]i|[kKMGT])?B?$/.exec(text.trim());
  return m ? Number(m[1]) * (SIZES[m[2] ?? ''] as number) : NaN;
}

/** The step that is nearest to a value. */
export function nearest(steps: string[], value: number, of: (s: string) => number): number {
  let best = 0;
  steps.forEach((s, i) => {
    if (Math.abs(of(s) - value) < Math.abs(of(steps[best] as string) - value)) {
      best = i;
    }
  });
  return best;
}
