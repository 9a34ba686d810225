/**
 * The highest generation of each label, so that the next one is above it. Usually the clock alone says so, and nothing is
 * looked up: the plugin is the only writer of sessions.db, so no row is newer than what it found at its start and what
 * it wrote itself. Only when the clock was set back is the store asked.
 */
import type { Label, SessionReader } from "@keyhole/core";

const maxKnown = 100_000;

/** What is known of generations. */
export type KnownGenerations = {
  /** Not below any generation of the label; 0 when `nowMs` is above all that can be. */
  highest(label: Label, nowMs: number): number | Promise<number>;
  /** The highest generation that was noted for the label, where that was not long ago. */
  noted(label: Label): number;
  /** The label has a session of this generation. */
  note(label: Label, generation: number): void;
};

/** `highestAtStart` is the highest generation that any label has in the store. */
export function createKnownGenerations(
  sessions: Pick<SessionReader, "highestGeneration">,
  highestAtStart: number,
  limit = maxKnown,
): KnownGenerations {
  const known = new Map<Label, number>();
  /** Nothing that is not in `known` is above this. */
  let ceiling = highestAtStart;
  return {
    highest(label, nowMs) {
      const noted = known.get(label);
      if (nowMs > ceiling) return noted ?? 0;
      return sessions.highestGeneration(label).then((recorded) => Math.max(recorded, noted ?? 0));
    },
    noted: (label) => known.get(label) ?? 0,
    note(label, generation) {
      const highest = Math.max(generation, known.get(label) ?? 0);
      // Set anew, it is the newest of the map.
      known.delete(label);
      known.set(label, highest);
      if (known.size <= limit) return;
      for (const [oldest, dropped] of known) {
        known.delete(oldest);
        ceiling = Math.max(ceiling, dropped);
        return;
      }
    },
  };
}
