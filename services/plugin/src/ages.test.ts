import { expect, it } from "vitest";
import { createAges } from "./ages.ts";

const at = (ms: number): Date => new Date(1_800_000_000_000 + ms);

it("tells the age of what lies behind, also of what was noted since the question was put", () => {
  const ages = createAges();
  expect([ages.find(at(0), at(1500), at(1600)), ages.find(at(1550), at(1500), at(1600))]).toEqual([1500, -50]);
});

it("counts what lies ahead of the clock from when that was found out, however often the clock goes back, and goes on counting when it has caught up", () => {
  const ages = createAges();
  const noted = at(10_000);
  expect(ages.find(noted, at(1000), at(1100))).toBe(-100);
  expect(ages.find(noted, at(3000), at(3100))).toBe(1900);
  expect(ages.find(noted, at(-5000), at(-4900))).toBe(-100);
  expect(ages.find(noted, at(11_000), at(11_100))).toBe(15_900);
});
