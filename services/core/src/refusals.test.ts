import { describe, expect, it } from "vitest";
import { describeProblem, describeReason, refusalCodes, refusals } from "./index.ts";

describe("the catalogue of refusals", () => {
  it.each(refusalCodes)("13: %s has a status, a sentence, a remedy and a voice", (code) => {
    const entry = refusals[code];
    expect(entry.status).toBeGreaterThanOrEqual(400);
    expect(entry.sentence).toMatch(/^[A-Z a-z].*\.$/);
    expect(entry.remedy).toMatch(/\.$/);
    expect(entry.voices.length).toBeGreaterThan(0);
  });

  it("4: every reason is one printable line of at most 200 characters", () => {
    for (const code of refusalCodes) expect(describeReason(code)).toMatch(/^[\x20-\x7e]{1,200}$/);
  });

  it("carries the public API's own code beside ours, and no fact can replace a standard member", () => {
    const problem = describeProblem({ code: "TIMESTAMP_STALE", facts: { serverTime: 1, status: 200, code: "X" } }, "id-1");
    expect(problem).toMatchObject({
      status: 400,
      error: "INVALID_TIMESTAMP",
      code: "TIMESTAMP_STALE",
      serverTime: 1,
      requestId: "id-1",
      title: "Bad Request",
    });
    expect(describeProblem({ code: "TUNNEL_OFFLINE" }, "id-2").error).toBe("TUNNEL_OFFLINE");
  });
});
