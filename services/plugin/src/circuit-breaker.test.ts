import { expect, it } from "vitest";
import { createCircuitBreaker } from "./circuit-breaker.ts";

const at = (ms: number): Date => new Date(1_800_000_000_000 + ms);
const createTripped = () => {
  const breaker = createCircuitBreaker({ failures: 3, openMs: 1000 });
  for (let call = 0; call < 3; call += 1) {
    expect(breaker.pass(at(0))).toBe(true);
    breaker.fail(at(0));
  }
  return breaker;
};

it("lets everybody through until so many calls in a row have failed, then nobody", () => {
  const breaker = createTripped();
  expect([breaker.state(at(0)), breaker.pass(at(999)), breaker.state(at(999))]).toEqual(["open", false, "open"]);
});

it("starts to count anew with every success", () => {
  const breaker = createCircuitBreaker({ failures: 2, openMs: 1000 });
  breaker.fail(at(0));
  breaker.succeed();
  breaker.fail(at(0));
  expect([breaker.state(at(0)), breaker.pass(at(0))]).toEqual(["closed", true]);
});

it("lets one find out after a while, and no second one meanwhile", () => {
  const breaker = createTripped();
  expect(breaker.state(at(1000))).toBe("half-open");
  expect([breaker.pass(at(1000)), breaker.pass(at(1000)), breaker.pass(at(9000))]).toEqual([true, false, false]);
  expect(breaker.state(at(1000))).toBe("half-open");
});

it("closes when that one succeeds, and opens for as long again when it fails", () => {
  const breaker = createTripped();
  breaker.pass(at(1000));
  breaker.fail(at(1500));
  expect([breaker.pass(at(2499)), breaker.pass(at(2500))]).toEqual([false, true]);
  breaker.succeed();
  expect([breaker.state(at(2500)), breaker.pass(at(2500)), breaker.pass(at(2500))]).toEqual(["closed", true, true]);
});

it("does not stay open for as long as the clock was set back", () => {
  const breaker = createTripped();
  expect([breaker.state(at(-999)), breaker.pass(at(-999))]).toEqual(["open", false]);
  expect([breaker.state(at(-3_600_000)), breaker.pass(at(-3_600_000))]).toEqual(["half-open", true]);
});
