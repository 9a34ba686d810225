/** How fast counters rose over the last minute: for `keyhole status`, which has no Prometheus beside it. */

/** By counter, in a minute. */
export type ReadRates<Name extends string> = () => Readonly<Record<Name, number>>;

const everyMs = 5000;
const windowMs = 60_000;

/**
 * Looks at the counters every five seconds until disposed of. `read` is over the last minute, or over what has passed since
 * the start, and rounded to a tenth.
 */
export function openRates<Name extends string>(
  counters: Readonly<Record<Name, () => number>>,
  monotonicMs: () => number = () => performance.now(),
): Disposable & { readonly read: ReadRates<Name> } {
  const names = Object.keys(counters) as Name[];
  const look = () => ({ at: monotonicMs(), values: new Map(names.map((name) => [name, counters[name]()])) });
  const samples = [look()];
  const timer = setInterval(() => {
    samples.push(look());
    while (samples[1] !== undefined && monotonicMs() - samples[1].at >= windowMs) samples.shift();
  }, everyMs).unref();
  return {
    read() {
      const [oldest] = samples;
      const newest = look();
      const minutes = Math.max(1000, newest.at - (oldest?.at ?? newest.at)) / 60_000;
      const rateOf = (name: Name): number => Math.max(0, (newest.values.get(name) ?? 0) - (oldest?.values.get(name) ?? 0)) / minutes;
      return Object.fromEntries(names.map((name) => [name, Math.round(rateOf(name) * 10) / 10])) as Record<Name, number>;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** The sum of what is counted by kind. */
export function sumOf(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}
