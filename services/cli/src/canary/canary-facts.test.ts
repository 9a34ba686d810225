import { expect, it } from "vitest";
import type { PartFacts } from "../sockets/part-status.ts";
import { withCanaryFacts } from "./canary-facts.ts";

const facts: PartFacts = { summary: "frps is ready", facts: { frps: "ready" }, problems: ["another problem"] };
const now = new Date("2026-01-01T00:01:00Z");

it("a finding stands beside what the part says, and one that is bad is a problem that ends with what to do", () => {
  expect(withCanaryFacts(facts, undefined, now)).toBe(facts);
  const well = withCanaryFacts(facts, { ok: true, stage: undefined, lastOkAt: now, ms: 6.64 }, now);
  expect(well).toEqual({
    summary: "frps is ready; the canary is answered",
    facts: { frps: "ready", canary: "answered in 6.6 ms" },
    problems: ["another problem"],
  });
  for (const stage of ["token", "login", "edge", "answer"] as const) {
    const bad = withCanaryFacts(facts, { ok: false, stage, lastOkAt: new Date("2026-01-01T00:00:30Z"), ms: 6.64 }, now);
    expect(bad.facts["canary"]).toBe(`fails (${stage}), last answered 30 s ago`);
    expect(bad.problems[1]).toMatch(/\?( Its log says why\.)?$|Look at /);
  }
  expect(withCanaryFacts(facts, { ok: false, stage: "token", lastOkAt: undefined, ms: undefined }, now).facts["canary"]).toBe(
    "fails (token), never answered",
  );
});
