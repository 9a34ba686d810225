/** How long a store's transactions take, and how many failed: told by its writer, read by the metrics. */
import { createHistogram, type HistogramFigures } from "@keyhole/core";

/** The figures of one file. */
export type CommitFigures = { readonly seconds: HistogramFigures; readonly failures: number };

/** Times the transactions of one file. */
export type CommitTimes = {
  /** Called when a transaction begins; what it returns, when that has been committed, or could not be. */
  readonly timeCommit: () => (isDone: boolean) => void;
  read(): CommitFigures;
};

const bounds = [0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Makes it, by the monotonic clock. */
export function createCommitTimes(monotonicMs: () => number): CommitTimes {
  const seconds = createHistogram(bounds);
  let failures = 0;
  return {
    timeCommit() {
      const startedMs = monotonicMs();
      return (isDone) => {
        if (isDone) seconds.observe((monotonicMs() - startedMs) / 1000);
        else failures += 1;
      };
    },
    read: () => ({ seconds: seconds.read(), failures }),
  };
}
