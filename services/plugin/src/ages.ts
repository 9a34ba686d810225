/**
 * How long ago something was, by a clock that may be set back. An instant that lies ahead of the clock can only be from
 * before that; when it really was nobody knows, so it counts from the moment at which this was found out. Otherwise all
 * that waits for an age would wait for as long as the clock went back.
 */

/** Remembers which instants were met ahead of the clock, as long as somebody else does. */
export type Ages = {
  /** The age at `asOf`, in ms, of an instant that was noted before `readAt`. Below zero: it was noted since `asOf`. */
  find(at: Date, asOf: Date, readAt: Date): number;
};

/** Makes it, with nothing met. */
export function createAges(): Ages {
  const met = new WeakMap<Date, Date>();
  return {
    find(at, asOf, readAt) {
      const known = met.get(at) ?? at;
      if (known > readAt) met.set(at, readAt);
      return asOf.getTime() - Math.min(known.getTime(), readAt.getTime());
    },
  };
}
