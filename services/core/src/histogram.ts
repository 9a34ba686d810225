/**
 * How long things took, in a few numbers: how many were at most so long, for a fixed list of bounds. An observation costs a
 * short loop and no memory, so that it may stand where every request passes.
 */

/** What was observed so far. `counts[i]` is of those above `bounds[i - 1]` and at most `bounds[i]`; the last one has no bound. */
export type HistogramFigures = {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
};

/** Observes durations, in seconds. */
export type Histogram = {
  /** Takes what is no number, or below 0, for 0: a clock that stood still is no reason to fail. */
  observe(seconds: number): void;
  read(): HistogramFigures;
};

/** Makes one with nothing observed. `bounds` rise, in seconds. */
export function createHistogram(bounds: readonly number[]): Histogram {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  return {
    observe(seconds) {
      const value = Number.isNaN(seconds) ? 0 : Math.max(seconds, 0);
      let at = 0;
      while (at < bounds.length && value > (bounds[at] as number)) at += 1;
      counts[at] = (counts[at] as number) + 1;
      sum += value;
    },
    read: () => ({ bounds, counts: [...counts], sum }),
  };
}
