import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createAppForTests } from "./app-for-tests.ts";
import { problemSchema } from "./openapi-schemas.ts";

/** The bytes, or for two that are too long to keep, how they begin and go on. */
type Case = { readonly name: string } & ({ readonly b64: string } | { readonly head_b64: string; readonly len: number });

const path = new URL("../../../test/vectors/jsontestsuite/cases.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: readonly Case[] };
const limits = { requestsPerMinute: 1000, tokensPerMinute: 10, failedProofsPerMinute: 20, inFlight: 256 };
const world = createAppForTests({ settings: { limits } });

/** What each body may be told. Valid JSON here is at most an object that is no order, and never a token. */
const told: Readonly<Record<string, readonly string[]>> = {
  y: ["BODY_NOT_OBJECT", "BODY_DUPLICATE_KEY", "UNKNOWN_FIELD", "WALLET_REQUIRED"],
  n: ["BODY_INVALID_JSON", "BODY_TOO_LARGE"],
  i: ["BODY_NOT_OBJECT", "BODY_DUPLICATE_KEY", "UNKNOWN_FIELD", "WALLET_REQUIRED", "BODY_INVALID_JSON", "BODY_TOO_LARGE"],
};

describe("JSONTestSuite as request bodies", () => {
  it("has all its cases here", () => {
    const counts = Object.keys(told).map((kind) => cases.filter(({ name }) => name.startsWith(`${kind}_`)).length);
    expect([cases.length, counts.reduce((sum, count) => sum + count)]).toEqual([318, 318]);
  });

  it.each(cases.map((one) => [one.name, one] as const))("13: %s gets its own refusal", async (name, one) => {
    const body = "b64" in one ? Buffer.from(one.b64, "base64") : Buffer.alloc(one.len, Buffer.from(one.head_b64, "base64"));
    const answer = await world.post(body);
    const { code } = problemSchema.parse(await answer.json());
    expect(told[name.slice(0, 1)]).toContain(code);
    // Only the size hides what is JSON and what is not.
    if (code === "BODY_TOO_LARGE") expect(body.length).toBeGreaterThan(4096);
  });
});
