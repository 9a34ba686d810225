/**
 * What is under way to each label, so that it can be ended when the label is another's: a client that evades the cut of
 * its control connection would otherwise go on talking to visitors for as long as a stream lasts.
 */
import type { Label } from "@keyhole/core";

/** One attempt and the stream that came of it. Whoever carries it sets `end`, and calls `leave` when the far side is over. */
export type Passage = { end: (() => void) | undefined; leave(): void };

export type LabelTraffic = {
  enter(label: Label): Passage;
  /** Another session is about to take the label over. */
  mark(label: Label): void;
  /** It is about to serve: ends all that began before, since only the former session can have answered it. Nothing without a mark. */
  endMarked(label: Label): void;
  endAll(label: Label): void;
};

/** Hand-overs that never came to their end are forgotten, the oldest first. */
const maxMarks = 10_000;

export function createLabelTraffic(): LabelTraffic {
  const underWay = new Map<Label, Set<Passage>>();
  /** Labels that change hands, in the order of time. */
  const marks = new Set<Label>();

  const endAll = (label: Label): void => {
    marks.delete(label);
    for (const passage of [...(underWay.get(label) ?? [])]) {
      passage.leave();
      passage.end?.();
    }
  };
  return {
    enter(label) {
      const passages = underWay.get(label) ?? new Set<Passage>();
      underWay.set(label, passages);
      const passage: Passage = {
        end: undefined,
        leave() {
          if (passages.delete(passage) && passages.size === 0 && underWay.get(label) === passages) underWay.delete(label);
        },
      };
      passages.add(passage);
      return passage;
    },
    mark(label) {
      marks.delete(label);
      marks.add(label);
      for (const oldest of marks) {
        if (marks.size <= maxMarks) break;
        marks.delete(oldest);
      }
    },
    endMarked(label) {
      if (marks.has(label)) endAll(label);
    },
    endAll,
  };
}
