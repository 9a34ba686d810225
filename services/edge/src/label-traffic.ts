/**
 * What is under way to each label, so that it can be ended when the label is another's: a client that evades the cut of
 * its control connection would otherwise go on talking to visitors for as long as a stream lasts. Order is a count, not a
 * time: what began before a mark is exact.
 */
import type { Label } from "@keyhole/core";

/** One attempt and the stream that came of it. Whoever carries it sets `end`, and calls `leave` when the far side is over. */
export type Passage = { end: (() => void) | undefined; leave(): void };

export type LabelTraffic = {
  enter(label: Label): Passage;
  /** Another session is about to take the label over. */
  mark(label: Label): void;
  /** It has: ends what began before the mark. Nothing without a mark. */
  endMarked(label: Label): void;
  endAll(label: Label): void;
};

/** A hand-over that never came to its end is forgotten. */
const markMs = 60_000;

export function createLabelTraffic(): LabelTraffic {
  const underWay = new Map<Label, Map<Passage, number>>();
  const marks = new Map<Label, { readonly at: number; readonly time: number }>();
  let count = 0;

  const endBefore = (label: Label, at: number): void => {
    for (const [passage, began] of [...(underWay.get(label) ?? [])]) {
      if (began > at) continue;
      passage.leave();
      passage.end?.();
    }
  };
  return {
    enter(label) {
      const passages = underWay.get(label) ?? new Map<Passage, number>();
      underWay.set(label, passages);
      const passage: Passage = {
        end: undefined,
        leave() {
          if (passages.delete(passage) && passages.size === 0 && underWay.get(label) === passages) underWay.delete(label);
        },
      };
      count += 1;
      passages.set(passage, count);
      return passage;
    },
    mark(label) {
      const time = performance.now();
      for (const [old, { time: since }] of marks) {
        if (time - since < markMs) break;
        marks.delete(old);
      }
      // Deleted first: the map's order is the order of time.
      marks.delete(label);
      marks.set(label, { at: count, time });
    },
    endMarked(label) {
      const mark = marks.get(label);
      if (mark === undefined) return;
      marks.delete(label);
      endBefore(label, mark.at);
    },
    endAll(label) {
      marks.delete(label);
      endBefore(label, count);
    },
  };
}
