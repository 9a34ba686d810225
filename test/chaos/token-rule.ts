/**
 * A proof buys one token (DESIGN.md §2, 5), tokens of a label rise (§4), and whatever is down the answer is one of ours.
 * That no acknowledged token is lost (6) is asked of the store at the end: `stored-tokens.ts`.
 */
import type { Grant, HistoryEvent, TokenAnswer } from "./history.ts";

/** What may be said to a good proof while processes die. */
const unavailable: readonly string[] = ["SERVICE_UNAVAILABLE", "STORE_UNAVAILABLE", "NOT_READY"];
const lateMs = 500;

/** The rule, and what it has seen acknowledged. */
export type TokenRule = {
  tell(event: HistoryEvent): string | undefined;
  acknowledged(): ReadonlyMap<string, readonly Grant[]>;
};

/** Makes the rule. `ttlSeconds` is the life of a token. */
export function createTokenRule(ttlSeconds: number): TokenRule {
  const grants = new Map<string, (Grant & { readonly at: number })[]>();
  /** When something of the wallet was last revoked, or it was blocked. */
  const orderedAt = new Map<string, number>();
  let restoredAt = 0;
  let edgeKilledAt = 0;

  function judgeGrant({ label, askedAt, at, proof }: TokenAnswer, grant: Grant): string | undefined {
    if (proof === "again-after-token") return "a proof that had bought a token has bought another";
    const former = grants.get(label) ?? [];
    grants.set(label, [...former, { ...grant, at }]);
    if (grant.expiresAt !== grant.issuedAt + ttlSeconds)
      return `a token of ${grant.expiresAt - grant.issuedAt} s instead of ${ttlSeconds} s`;
    const tooLate = former.find((one) => one.issuedAt === grant.issuedAt || (one.at < askedAt && one.issuedAt >= grant.issuedAt));
    return tooLate === undefined ? undefined : `issued at ${grant.issuedAt} after one that was issued at ${tooLate.issuedAt}`;
  }

  function judge(answer: TokenAnswer): string | undefined {
    const { outcome, proof, grant, askedAt, at, label } = answer;
    if (grant !== undefined) return judgeGrant(answer, grant);
    if (outcome.kind === "failed") {
      return edgeKilledAt >= askedAt - lateMs ? undefined : `no answer after ${Math.round(at - askedAt)} ms: ${outcome.error}`;
    }
    const { status, code, contentType, excerpt } = outcome;
    if (contentType !== "application/problem+json" || code === undefined) return `${status} is no answer of ours: ${excerpt}`;
    if (unavailable.includes(code) && status === 503) return undefined;
    if (code === "TOKENS_TOO_FAST" && status === 429) return undefined;
    // What was signed before, or in the same second, buys nothing any more.
    const lastOrder = Math.max(orderedAt.get(label) ?? 0, restoredAt);
    if (code === "TOKEN_REVOKED" && lastOrder > 0) return undefined;
    if (code === "ADDRESS_BLOCKED" && orderedAt.has(label)) return undefined;
    return code === "PROOF_ALREADY_USED" && proof !== "fresh" ? undefined : `a good proof was answered with ${status} ${code}`;
  }

  return {
    acknowledged: () => grants,
    tell(event) {
      if (event.kind === "part-killed" && event.part === "edge") edgeKilledAt = event.at;
      if (event.kind === "order-asked") orderedAt.set(event.label, event.at);
      if (event.kind === "restored") restoredAt = event.at;
      if (event.kind !== "token-answered") return undefined;
      const violation = judge(event);
      return violation === undefined ? undefined : `token request: ${violation}`;
    },
  };
}
