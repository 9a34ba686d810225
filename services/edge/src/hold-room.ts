/**
 * The seats for requests that wait out a hand-over, or a restart of the token service. Bounded overall, per label and per
 * visitor's address, because a held request is memory, and neither one label's visitors nor one visitor must take every seat:
 * without a seat the visitor is asked to come back.
 */

export type HoldRoom = {
  /** Takes a seat; false when there is none. */
  take(label: string, source: string): boolean;
  leave(label: string, source: string): void;
  held(): number;
};

export function createHoldRoom(limits: { readonly overall: number; readonly perLabel: number; readonly perSource: number }): HoldRoom {
  const ofLabels = new Map<string, number>();
  const ofSources = new Map<string, number>();
  let held = 0;
  return {
    take(label, source) {
      const ofLabel = ofLabels.get(label) ?? 0;
      const ofSource = ofSources.get(source) ?? 0;
      if (held >= limits.overall || ofLabel >= limits.perLabel || ofSource >= limits.perSource) return false;
      ofLabels.set(label, ofLabel + 1);
      ofSources.set(source, ofSource + 1);
      held += 1;
      return true;
    },
    leave(label, source) {
      if (!ofLabels.has(label)) return;
      giveBack(ofLabels, label);
      giveBack(ofSources, source);
      held -= 1;
    },
    held: () => held,
  };
}

function giveBack(seats: Map<string, number>, key: string): void {
  const taken = seats.get(key) ?? 0;
  if (taken <= 1) seats.delete(key);
  else seats.set(key, taken - 1);
}
