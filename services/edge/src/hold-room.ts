/**
 * The seats for requests that wait out a hand-over. Bounded overall and per label, because a held request is memory and
 * one label's visitors must not take every seat: without a seat the visitor is asked to come back in a second.
 */
import type { Label } from "@keyhole/core";

export type HoldRoom = {
  /** Takes a seat; false when there is none. */
  take(label: Label): boolean;
  leave(label: Label): void;
  held(): number;
};

export function createHoldRoom(limits: { readonly overall: number; readonly perLabel: number }): HoldRoom {
  const seats = new Map<Label, number>();
  let held = 0;
  return {
    take(label) {
      const ofLabel = seats.get(label) ?? 0;
      if (held >= limits.overall || ofLabel >= limits.perLabel) return false;
      seats.set(label, ofLabel + 1);
      held += 1;
      return true;
    },
    leave(label) {
      const ofLabel = seats.get(label) ?? 0;
      if (ofLabel === 0) return;
      if (ofLabel === 1) seats.delete(label);
      else seats.set(label, ofLabel - 1);
      held -= 1;
    },
    held: () => held,
  };
}
