import { expect, test } from "vitest";
import { createRateLimiter } from "./index.ts";

const at = (seconds: number): Date => new Date(1_707_091_200_000 + seconds * 1000);

test("so many at once, then at its pace, and what is refused costs nothing more", () => {
  const limiter = createRateLimiter({ count: 3, perSeconds: 60 });
  expect([0, 0, 0].map((second) => limiter.take("a", at(second)).remaining)).toEqual([2, 1, 0]);
  const refused = { isAllowed: false, remaining: 0, resetSeconds: 60, retryAfterSeconds: 20 };
  expect([limiter.take("a", at(0)), limiter.take("a", at(0))]).toEqual([refused, refused]);
  expect(limiter.take("a", at(19.5))).toMatchObject({ isAllowed: false, retryAfterSeconds: 1 });
  expect(limiter.take("a", at(20))).toEqual({ isAllowed: true, remaining: 0, resetSeconds: 60, retryAfterSeconds: 0 });
  expect(limiter.take("a", at(200)).remaining).toBe(2);
});

test("each key has its own count, and looking counts nothing", () => {
  const limiter = createRateLimiter({ count: 1, perSeconds: 1 });
  expect(limiter.look("a", at(0))).toEqual({ isAllowed: true, remaining: 1, resetSeconds: 0, retryAfterSeconds: 0 });
  expect(limiter.take("a", at(0)).isAllowed).toBe(true);
  expect(limiter.look("a", at(0)).isAllowed).toBe(false);
  expect(limiter.take("b", at(0)).isAllowed).toBe(true);
});

test("keys are bounded: whoever was here longest ago is forgotten first", () => {
  const limiter = createRateLimiter({ count: 1, perSeconds: 60 }, 2);
  for (const key of ["a", "b", "c"]) limiter.take(key, at(0));
  expect(["a", "c"].map((key) => limiter.look(key, at(1)).isAllowed)).toEqual([true, false]);
});

test("a clock that is set back an hour locks nobody out for longer than the period", () => {
  const limiter = createRateLimiter({ count: 2, perSeconds: 60 });
  limiter.take("a", at(3600));
  limiter.take("a", at(3600));
  expect(limiter.take("a", at(0))).toMatchObject({ isAllowed: false, retryAfterSeconds: 30 });
  expect(limiter.take("a", at(31)).isAllowed).toBe(true);
});

test("a clock that is set back by more than the period takes nothing from anybody who has some left, and gives nothing", () => {
  const limiter = createRateLimiter({ count: 3, perSeconds: 60 });
  limiter.take("half", at(7200));
  for (const _ of [1, 2, 3]) limiter.take("spent", at(7200));
  expect(limiter.look("half", at(0))).toMatchObject({ isAllowed: true, remaining: 2 });
  expect(limiter.look("spent", at(0))).toMatchObject({ isAllowed: false, retryAfterSeconds: 20 });
  expect(limiter.look("spent", at(20)).isAllowed).toBe(true);
});
