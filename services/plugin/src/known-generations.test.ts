import { type Label, parseLabel } from "@keyhole/core";
import { expect, test } from "vitest";
import { createKnownGenerations } from "./known-generations.ts";

const labelOf = (index: number): Label => parseLabel(`0x${String(index).padStart(40, "0")}`) as Label;

/** Whole numbers below `limit`, the same ones for the same seed (a linear congruential generator). */
function createNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * limit);
  };
}

test("2: the next generation is above every earlier one of its label, whatever the clock does and however many labels there are", async () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const below = createNumbers(seed);
    const rows = new Map(Array.from({ length: 10 }, (_, index) => [labelOf(index), below(3000)]));
    const store = { highestGeneration: async (label: Label) => rows.get(label) ?? 0 };
    const known = createKnownGenerations(store, Math.max(...rows.values()), 4);
    let now = 2000;
    for (let step = 0; step < 100; step += 1) {
      const label = labelOf(below(10));
      now += below(101) - 45;
      const next = Math.max(now, (await known.highest(label, now)) + 1);
      expect(next).toBeGreaterThan(rows.get(label) ?? 0);
      rows.set(label, next);
      known.note(label, next);
    }
  }
});

test("while the clock is ahead of everything known the store is not asked", () => {
  const known = createKnownGenerations({ highestGeneration: () => Promise.reject(new Error("asked")) }, 1000, 2);
  for (let index = 0; index < 10; index += 1) {
    expect(known.highest(labelOf(index), 2000 + index)).toBe(0);
    known.note(labelOf(index), 2000 + index);
  }
  expect(known.highest(labelOf(9), 2010)).toBe(2009);
});
