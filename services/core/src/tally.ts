/** Counts by name, for metrics. Who counts sees to it that the names are a fixed few: no address, no label, no text of a client's. */

/** A few counters that only rise. Several words of a name are separated by one space. */
export type Tally = {
  count(name: string): void;
  readonly counts: ReadonlyMap<string, number>;
};

/** Makes one with nothing counted. */
export function createTally(): Tally {
  const counts = new Map<string, number>();
  return { counts, count: (name) => void counts.set(name, (counts.get(name) ?? 0) + 1) };
}
