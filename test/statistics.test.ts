import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { median, percentile, summarize } from "./load/statistics.ts";

describe("the statistics of the bench", () => {
  it("a percentile is the value of the nearest rank, whatever the order", () => {
    const values = [15, 50, 20, 40, 35];
    expect([5, 30, 40, 50, 100].map((percent) => percentile(values, percent))).toEqual([15, 20, 20, 35, 50]);
    expect(percentile([7], 99)).toBe(7);
    expect(values).toEqual([15, 50, 20, 40, 35]);
  });

  it("numbers are ordered as numbers, not as text", () => {
    expect(percentile([9, 100, 20], 50)).toBe(20);
    expect(median([9, 100, 20])).toBe(20);
  });

  it("the median of an even count is the mean of the two in the middle", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it("nothing measured is not a number, never a zero that looks good", () => {
    expect([percentile([], 50), median([]), summarize([]).p95]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("every percentile was measured, and none is above a higher one", () => {
    const series = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
    fc.assert(
      fc.property(series, (values) => {
        const { count, p50, p95, p99, max } = summarize(values);
        expect(count).toBe(values.length);
        for (const value of [p50, p95, p99, max]) expect(values).toContain(value);
        expect(p50 <= p95 && p95 <= p99 && p99 <= max).toBe(true);
        expect(max).toBe(Math.max(...values));
      }),
    );
  });
});
