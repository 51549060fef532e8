// How fast something goes now, and when it will be done.
const WINDOW_MS = 8000;

export class Rate {
  private samples: { at: number; done: number }[] = [];

  /** `done` in all so far. */
  add(done: number, at: number) {
    this.samples.push({ at, done });
    while (this.samples.length > 2 && at - (this.samples[0]?.at ?? at) > WINDOW_MS) {
      this.samples.shift();
    }
  }

  /** After a pause, time that passed in it must not count. */
  reset() {
    this.samples = [];
  }

  /** Bytes a second; 0: not known yet. */
  perSecond(): number {
    const first = this.samples[0];
    const last = this.samples[this.samples.length - 1];
    const ms = first && last ? last.at - first.at : 0;
    return first && last && ms >= 400 ? Math.max(0, ((last.done - first.done) * 1000) / ms) : 0;
  }

  /** Milliseconds until `left` are done; null: nobody can tell. */
  remaining(left: number): number | null {
    const rate = this.perSecond();
    return rate > 0 ? (left * 1000) / rate : null;
  }
}
