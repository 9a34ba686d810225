import { expect, it } from "vitest";
import { createHistogram } from "./histogram.ts";

it("a duration counts in the first bound that it does not exceed, one beyond all of them in the last place, and a broken clock as nothing", () => {
  const histogram = createHistogram([0.1, 1]);
  for (const seconds of [0, 0.1, 0.11, 1, 1.5, 100, -3, Number.NaN]) histogram.observe(seconds);
  expect(histogram.read()).toEqual({ bounds: [0.1, 1], counts: [4, 2, 2], sum: 0.1 + 0.11 + 1 + 1.5 + 100 });
});

it("what was read does not change afterwards", () => {
  const histogram = createHistogram([1]);
  const before = histogram.read();
  histogram.observe(0.5);
  expect([before.counts, histogram.read().counts]).toEqual([
    [0, 0],
    [1, 0],
  ]);
});
