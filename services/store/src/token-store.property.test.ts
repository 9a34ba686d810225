import type { TokenOutcome } from "@keyhole/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

const start = 1_800_000_000;

type Step = {
  readonly wallet: number;
  readonly kind: "hmac" | "jwt";
  readonly proof: number;
  readonly waitMs: number;
  readonly isTogether: boolean;
};

const steps = fc.array(
  fc.record<Step>({
    wallet: fc.integer({ min: 1, max: 3 }),
    kind: fc.constantFrom("hmac", "jwt"),
    proof: fc.integer({ min: 0, max: 14 }),
    waitMs: fc.constantFrom(0, 0, 0, 1, 400, 1000, 3000),
    isTogether: fc.boolean(),
  }),
  { maxLength: 40 },
);

/** The rules of the port in ten lines: what was spent, and the newest second of each label. */
function createModel() {
  const spent = new Set<number>();
  const newest = new Map<number, number>();
  return (step: Step, nowMs: number): string => {
    if (spent.has(step.proof)) return "proof-already-used";
    const issuedAt = Math.max(Math.floor(nowMs / 1000), (newest.get(step.wallet) ?? 0) + 1);
    if (issuedAt * 1000 > nowMs + 2000) return "too-fast";
    spent.add(step.proof);
    newest.set(step.wallet, issuedAt);
    return `issued at ${issuedAt}`;
  };
}

const told = (outcome: TokenOutcome): string =>
  outcome.outcome === "recorded" ? `issued at ${outcome.token.issuedAt.getTime() / 1000}` : outcome.outcome;

test("5: whatever the order and grouping, a proof buys one token and issued-at rises a label, as the model says", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      using folder = openTemporaryFolder();
      const path = folder.file("tokens.db");
      await using store = await openTokenStore({ path, log: silentLog });
      await using reader = await openTokenReader({ path });
      const decide = createModel();
      let nowMs = start * 1000;
      let waiting: Promise<TokenOutcome>[] = [];
      const outcomes: TokenOutcome[] = [];
      const expected: string[] = [];
      for (const [index, step] of sequence.entries()) {
        nowMs += step.waitMs;
        expected.push(decide(step, nowMs));
        const now = new Date(nowMs);
        const proofEndsAt = new Date(nowMs + 600_000);
        waiting.push(
          store.orderToken({ label: labelOf(step.wallet), kind: step.kind, proofKey: `p${step.proof}`, proofEndsAt, now, ttlSeconds: 60 }),
        );
        if (step.isTogether && index < sequence.length - 1) continue;
        outcomes.push(...(await Promise.all(waiting)));
        waiting = [];
      }
      expect(outcomes.map(told)).toEqual(expected);
      for (const outcome of outcomes) {
        if (outcome.outcome !== "recorded") continue;
        const { label, kind, issuedAt } = outcome.token;
        expect(await reader.findToken(label, kind, issuedAt)).toEqual(outcome.token);
      }
    }),
    { numRuns: 60 },
  );
});
