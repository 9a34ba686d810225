import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openRates, sumOf } from "./rates.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("tells the last minute, whatever was before it", () => {
  let requests = 1_000_000;
  using rates = openRates({ requests: () => requests }, () => Date.now());
  expect(rates.read()).toEqual({ requests: 0 });
  vi.advanceTimersByTime(30_000);
  requests += 60;
  // What was counted in half a minute, as of a minute.
  expect(rates.read()).toEqual({ requests: 120 });
  vi.advanceTimersByTime(30_000);
  expect(rates.read()).toEqual({ requests: 60 });
  vi.advanceTimersByTime(120_000);
  expect(rates.read()).toEqual({ requests: 0 });
});

it("tells no more than there was in the first moments, and nothing below zero when a counter begins anew", () => {
  let requests = 0;
  using rates = openRates({ requests: () => requests }, () => Date.now());
  requests = 1;
  expect(rates.read()).toEqual({ requests: 60 });
  requests = -5;
  expect(rates.read()).toEqual({ requests: 0 });
});

it("adds up what is counted by kind", () => {
  expect([
    sumOf([]),
    sumOf(
      new Map([
        ["a", 1],
        ["b", 2],
      ]).values(),
    ),
  ]).toEqual([0, 3]);
});
