import type { RevocationOutcome, TokenOutcome } from "@keyhole/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { labelOf, openTemporaryFolder, plainOrder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

const start = 1_800_000_000;

type Step = {
  readonly does: "order" | "order exclusively" | "revoke";
  readonly wallet: number;
  readonly kind: "hmac" | "jwt";
  readonly proof: number;
  /** Of a request that may be repeated: its key, and what it asks. */
  readonly repeat: { readonly key: number; readonly request: number } | undefined;
  /** Seconds by which its proof was signed after now; before now it may be too old after a revocation. */
  readonly signed: number;
  readonly waitMs: number;
  readonly isTogether: boolean;
  readonly isRestarted: boolean;
};

const steps = fc.array(
  fc.record<Step>({
    does: fc.constantFrom("order", "order", "order", "order exclusively", "revoke"),
    wallet: fc.integer({ min: 1, max: 3 }),
    kind: fc.constantFrom("hmac", "jwt"),
    proof: fc.integer({ min: 0, max: 24 }),
    repeat: fc.option(fc.record({ key: fc.integer({ min: 0, max: 2 }), request: fc.integer({ min: 0, max: 1 }) }), { nil: undefined }),
    signed: fc.integer({ min: -3, max: 3 }),
    waitMs: fc.constantFrom(0, 0, 0, 0, 1, 400, 1000, 3000, 58_000),
    isTogether: fc.boolean(),
    isRestarted: fc.nat({ max: 9 }).map((number) => number === 0),
  }),
  { maxLength: 50 },
);

/** The rules of the port: what was spent, revoked and may be repeated, and the newest second of each label. */
function createModel() {
  const spent = new Set<number>();
  const newest = new Map<number, number>();
  const notBefore = new Map<number, number>();
  /** Proofs of this second or earlier are worth nothing. */
  const proofsUntil = new Map<number, number>();
  const bought = new Map<string, { request: number; issuedAt: number; keyId: string; until: number }>();
  /** Wallets in the order in which their not-before last rose. */
  const revoked: number[] = [];

  function revoke(wallet: number, at: number, now: number, signed: number): void {
    notBefore.set(wallet, at);
    proofsUntil.set(wallet, Math.max(proofsUntil.get(wallet) ?? 0, now + signed, now - 1));
    if (revoked.includes(wallet)) revoked.splice(revoked.indexOf(wallet), 1);
    revoked.push(wallet);
  }

  function decide({ does, wallet, proof, repeat, signed }: Step, keyId: string, nowMs: number): string {
    const now = Math.floor(nowMs / 1000);
    const before = notBefore.get(wallet) ?? 0;
    const next = (newest.get(wallet) ?? 0) + 1;
    const isOrder = does !== "revoke";
    const former = isOrder && repeat ? bought.get(`${wallet}/${repeat.key}`) : undefined;
    if (former !== undefined && now <= former.until) {
      if (former.request !== repeat?.request) return "key-reused";
      return before > former.issuedAt ? "revoked" : `repeated: ${former.issuedAt} by ${former.keyId}`;
    }
    if (spent.has(proof)) return "proof-already-used";
    if (isOrder && now + signed <= (proofsUntil.get(wallet) ?? 0)) return "revoked";
    const issuedAt = Math.max(now, before, next);
    if (isOrder && issuedAt * 1000 > nowMs + 2000) return "too-fast";
    spent.add(proof);
    if (!isOrder) {
      revoke(wallet, Math.max(before, now + 1, next), now, signed);
      return `revoked before ${notBefore.get(wallet)}`;
    }
    newest.set(wallet, issuedAt);
    if (does === "order exclusively") revoke(wallet, issuedAt, now, signed);
    if (repeat) bought.set(`${wallet}/${repeat.key}`, { request: repeat.request, issuedAt, keyId, until: now + 60 });
    return `recorded: ${issuedAt} by ${keyId}`;
  }
  return { decide, notBefore, revoked };
}

function told(outcome: TokenOutcome | RevocationOutcome): string {
  if ("token" in outcome) return `${outcome.outcome}: ${outcome.token.issuedAt.getTime() / 1000} by ${outcome.keyId}`;
  return "notBefore" in outcome ? `revoked before ${outcome.notBefore.getTime() / 1000}` : outcome.outcome;
}

const asHash = (number: number): string => String(number).repeat(64);

test("5, 6: whatever the order, grouping and restarts, proofs, repeats and revocations do as the model says", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      using folder = openTemporaryFolder();
      const path = folder.file("tokens.db");
      let store = await openTokenStore({ path, log: silentLog });
      await using reader = await openTokenReader({ path });
      const model = createModel();
      const heard = new Map<string, Date>();
      let heardUpTo = 0;
      let nowMs = start * 1000;
      let waiting: Promise<TokenOutcome | RevocationOutcome>[] = [];
      const outcomes: (TokenOutcome | RevocationOutcome)[] = [];
      const expected: string[] = [];
      for (const [index, step] of sequence.entries()) {
        nowMs += step.waitMs;
        const keyId = `key-${index}`;
        expected.push(model.decide(step, keyId, nowMs));
        const { wallet, kind, proof, repeat } = step;
        const order = {
          ...plainOrder,
          label: labelOf(wallet),
          kind,
          proofKey: `p${proof}`,
          provedAt: new Date((Math.floor(nowMs / 1000) + step.signed) * 1000),
          proofEndsAt: new Date(nowMs + 600_000),
          now: new Date(nowMs),
          keyId,
          isExclusive: step.does === "order exclusively",
          repeat: repeat && { keyHash: asHash(repeat.key), requestHash: asHash(repeat.request) },
        };
        waiting.push(step.does === "revoke" ? store.revoke(order) : store.orderToken(order));
        if (step.isTogether && index < sequence.length - 1) continue;
        outcomes.push(...(await Promise.all(waiting)));
        waiting = [];
        for (const { label, notBefore, sequence: at } of await reader.revocationsAfter(heardUpTo, 2)) {
          expect(at).toBeGreaterThan(heardUpTo);
          heardUpTo = at;
          heard.set(label, notBefore);
        }
        if (!step.isRestarted) continue;
        await store[Symbol.asyncDispose]();
        store = await openTokenStore({ path, log: silentLog });
      }
      await store[Symbol.asyncDispose]();
      expect(outcomes.map(told)).toEqual(expected);
      for (const outcome of outcomes) {
        if (!("token" in outcome)) continue;
        const { label, kind, issuedAt } = outcome.token;
        expect(await reader.findToken(label, kind, issuedAt)).toEqual(outcome.token);
      }

      const inForce = (wallet: number): Date => new Date((model.notBefore.get(wallet) ?? 0) * 1000);
      const all = await reader.revocationsAfter(0, 10);
      expect(all.map(({ label, notBefore }) => [label, notBefore])).toEqual(
        model.revoked.map((wallet) => [labelOf(wallet), inForce(wallet)]),
      );
      expect(await reader.newestRevocation()).toBe(all.at(-1)?.sequence ?? 0);
      for (const { label, notBefore } of all) expect(await reader.notBefore(label)).toEqual(notBefore);
      // Whoever polled a few at a time misses nothing either.
      for (const { label, notBefore } of await reader.revocationsAfter(heardUpTo, 10)) heard.set(label, notBefore);
      expect(heard).toEqual(new Map(all.map(({ label, notBefore }) => [label, notBefore])));
    }),
    { numRuns: 100 },
  );
});
