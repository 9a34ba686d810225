/** The chance and the plan of a chaos run: the same seed is the same run, and nothing is left out. */
import { expect, test } from "vitest";
import { targets } from "./chaos/history.ts";
import { dealRounds, type Round } from "./chaos/plan.ts";
import { createPrng } from "./chaos/prng.ts";

const deal = (seed: number, count: number): Round[] => {
  const rounds = dealRounds(createPrng(seed, "plan"));
  return Array.from({ length: count }, () => rounds.next().value);
};

test("the same seed and name draw the same, another seed or name draws otherwise", () => {
  const draw = (seed: number, name: string): number[] => {
    const random = createPrng(seed, name);
    return Array.from({ length: 20 }, () => random.next());
  };
  expect(draw(7, "a")).toEqual(draw(7, "a"));
  expect(draw(7, "a")).not.toEqual(draw(8, "a"));
  expect(draw(7, "a")).not.toEqual(draw(7, "b"));
  expect(draw(7, "/a")).toEqual(
    Array.from(
      { length: 20 },
      (
        (fork) => () =>
          fork.next()
      )(createPrng(7).fork("a")),
    ),
  );
});

test("draws are spread evenly, within their bounds, and both ends occur", () => {
  const random = createPrng(1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let draws = 0; draws < 10_000; draws += 1) {
    const drawn = random.between(0, 9);
    counts[drawn] = (counts[drawn] ?? Number.NaN) + 1;
  }
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10_000);
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  const hits = Array.from({ length: 10_000 }, () => random.chance(0.3)).filter(Boolean).length;
  expect(Math.abs(hits - 3000)).toBeLessThan(250);
});

test("shuffling loses nothing, and picking from nothing is an error", () => {
  const random = createPrng(3);
  const items = Array.from({ length: 50 }, (_, index) => index);
  const shuffled = random.shuffle(items);
  expect(shuffled).not.toEqual(items);
  expect(shuffled.sort((one, other) => one - other)).toEqual(items);
  expect(() => random.pick([])).toThrow(RangeError);
});

test("the same seed is the same plan, and a whole deck kills every kind of process", () => {
  expect(deal(42, 60)).toEqual(deal(42, 60));
  expect(deal(42, 60)).not.toEqual(deal(43, 60));
  for (let seed = 0; seed < 20; seed += 1) {
    const killed = new Set(deal(seed, 25).flatMap(({ kills }) => kills.map(({ target }) => target)));
    expect([...killed].sort()).toEqual([...targets].sort());
  }
});
