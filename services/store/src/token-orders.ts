/**
 * What becomes of an order and of a revocation, each decided and written in one transaction: a proof buys one token
 * (invariant 5) or one revocation, and what is revoked is announced in the transaction that revokes it (invariant 6).
 */
import { type Label, type RevocationOrder, type RevocationOutcome, repeatSeconds, type TokenOrder, type TokenOutcome } from "@keyhole/core";
import type { EventLog } from "./event-log.ts";
import { fromSeconds, ordersPerSweep, type prepareTokenReads, sweptAtOnce, type TokenWrites, toSeconds } from "./token-queries.ts";

/** A token may be issued this far ahead of now; the plugin tolerates as much. */
const maxAheadSeconds = 2;

/**
 * How long a spent proof is kept after it could last be repeated. A clock set back by less than this opens no gap; nor does
 * one that was set forward and back again, for a jump is believed only when it has lasted for as long.
 */
const proofGraceSeconds = 3600;

/**
 * A token without a row counts as valid until issued-at + min(ttl, 24 h) (DESIGN.md §4). A row is forgotten only when
 * that has passed too: else an expired token would come to life again when its row goes.
 */
const rowlessLifeSeconds = 24 * 3600;

const sha256 = /^[0-9a-f]{64}$/;

/** An order whose instants are numbers. */
type WantedRevocation = {
  readonly label: Label;
  readonly proofKey: string;
  readonly provedAtSeconds: number;
  readonly nowMs: number;
  readonly proofEndsAtSeconds: number;
};
type WantedToken = WantedRevocation &
  Omit<TokenOrder, "proofEndsAt" | "provedAt" | "now" | "operatorRevocation"> & {
    readonly operatorRevocation: { readonly notBefore: number; readonly proofsUntil: number } | undefined;
  };

type OrderQueries = TokenWrites &
  ReturnType<typeof prepareTokenReads> & {
    readonly sweep: Sweep;
    /** Proofs that ended before this may be forgotten; undefined while the clock is not to be trusted with it. */
    readonly proofsPast: (now: number) => number | undefined;
    readonly journal: Pick<EventLog, "note">;
  };

type Sweep = (queries: TokenWrites, now: number) => void;

/** Checks what types cannot. Done before the revocation is queued: a mistake of one caller is never another's. */
export function readRevocation({ label, proofKey, provedAt, proofEndsAt, now }: RevocationOrder): WantedRevocation {
  if (proofKey === "") throw new RangeError("an order has no proof");
  toSeconds(now);
  return { label, proofKey, provedAtSeconds: toSeconds(provedAt), nowMs: now.getTime(), proofEndsAtSeconds: toSeconds(proofEndsAt) + 1 };
}

/** Checks what types cannot, as `readRevocation` does. */
export function readOrder(order: TokenOrder): WantedToken {
  const { kind, ttlSeconds, keyId, isExclusive, repeat, operatorRevocation: revoked } = order;
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds <= 0) throw new RangeError("an order's ttlSeconds is no positive whole number");
  if (keyId === "") throw new RangeError("an order names no key");
  if (repeat !== undefined && !(sha256.test(repeat.keyHash) && sha256.test(repeat.requestHash))) {
    throw new RangeError("an order's repeat is no pair of SHA-256 in hexadecimal digits");
  }
  const operatorRevocation = revoked && { notBefore: toSeconds(revoked.notBefore), proofsUntil: toSeconds(revoked.at) };
  return { ...readRevocation(order), kind, ttlSeconds, keyId, isExclusive, repeat, operatorRevocation };
}

/** Decides an order and records the token that it buys. Runs in a transaction of its own. */
export function decideOrder(queries: OrderQueries, order: WantedToken): TokenOutcome {
  const { label, kind, nowMs, keyId, repeat, operatorRevocation } = order;
  const now = Math.floor(nowMs / 1000);
  const never = Number.NEGATIVE_INFINITY;
  const floor = {
    notBefore: Math.max(queries.notBefore.get(label) ?? never, queries.floor?.not_before ?? never, operatorRevocation?.notBefore ?? never),
    proofsUntil: Math.max(
      queries.proofsRevoked.get(label) ?? never,
      queries.floor?.proofs_until ?? never,
      operatorRevocation?.proofsUntil ?? never,
    ),
  };
  const repeated = repeat && decideRepeat(queries, label, repeat, { now, notBefore: floor.notBefore });
  if (repeated !== undefined) return repeated;
  if (queries.isSpent.get(order.proofKey) !== undefined) return { outcome: "proof-already-used" };
  if (order.provedAtSeconds <= floor.proofsUntil) return { outcome: "revoked" };
  const newest = queries.newestOfLabel.get(label) ?? never;
  const issuedAt = Math.max(now, floor.notBefore, newest + 1);
  if (issuedAt * 1000 > nowMs + maxAheadSeconds * 1000) return { outcome: "too-fast" };
  const expiresAt = issuedAt + order.ttlSeconds;
  spend(queries, order, now);
  queries.record.run(label, issuedAt, kind, expiresAt);
  if (order.isExclusive) revokeBefore(queries, order, issuedAt, now);
  if (repeat !== undefined) {
    queries.forgetRepeats.run(now);
    queries.keepRepeat.run(label, repeat.keyHash, repeat.requestHash, issuedAt, keyId, now + repeatSeconds);
  }
  queries.sweep(queries, now);
  queries.journal.note({ at: new Date(nowMs), event: "token.granted", label, detail: { kind, issuedAt, expiresAt, keyId } });
  return { outcome: "recorded", token: { label, kind, issuedAt: fromSeconds(issuedAt), expiresAt: fromSeconds(expiresAt) }, keyId };
}

/** Decides a revocation and announces it. Runs in a transaction of its own. */
export function decideRevocation(queries: OrderQueries, order: WantedRevocation): RevocationOutcome {
  const { label, nowMs } = order;
  const now = Math.floor(nowMs / 1000);
  if (queries.isSpent.get(order.proofKey) !== undefined) return { outcome: "proof-already-used" };
  // A token that was bought just before may be issued up to two seconds ahead of now. It is older than this all the same.
  const newest = queries.newestOfLabel.get(label) ?? Number.NEGATIVE_INFINITY;
  const notBefore = Math.max(queries.notBefore.get(label) ?? now, queries.floor?.not_before ?? now, now + 1, newest + 1);
  spend(queries, order, now);
  revokeBefore(queries, order, notBefore, now);
  return { outcome: "revoked", notBefore: fromSeconds(notBefore) };
}

/** What a request that came before gets; undefined when it did not come before, or too long ago. */
function decideRepeat(
  queries: OrderQueries,
  label: Label,
  repeat: NonNullable<TokenOrder["repeat"]>,
  { now, notBefore }: { readonly now: number; readonly notBefore: number },
): TokenOutcome | undefined {
  const former = queries.repeat.get(label, repeat.keyHash);
  if (former === undefined || former.until < now) return undefined;
  if (former.request_hash !== repeat.requestHash) return { outcome: "key-reused" };
  if (notBefore > former.issued_at) return { outcome: "revoked" };
  const { kind, issued_at, expires_at, key_id } = former;
  return {
    outcome: "repeated",
    token: { label, kind, issuedAt: fromSeconds(issued_at), expiresAt: fromSeconds(expires_at) },
    keyId: key_id,
  };
}

function spend(queries: OrderQueries, { proofKey, proofEndsAtSeconds }: WantedRevocation, now: number): void {
  queries.spend.run(proofKey, proofEndsAtSeconds);
  const limit = queries.proofsPast(now);
  if (limit === undefined) return;
  // Mostly there is none, and to ask costs less than to forget nothing.
  if (queries.isProofPast.get(limit) !== undefined) queries.forgetProofs.run(limit);
}

/** Revokes what was issued before, and what was signed before: by the clock of who revokes, and by ours. */
function revokeBefore(queries: OrderQueries, { label, provedAtSeconds, nowMs }: WantedRevocation, notBefore: number, now: number): void {
  queries.raiseNotBefore.run(label, notBefore);
  queries.revokeProofs.run(label, Math.max(provedAtSeconds, now - 1));
  queries.announce.run(label, notBefore);
  queries.journal.note({ at: new Date(nowMs), event: "owner.revoked", label, detail: { notBefore } });
}

/**
 * Watches the clock by the orders that come. After a jump, and at a start, nothing is forgotten for an hour: by then a clock
 * that was wrong and is right again is past the window of every proof that was spent before.
 */
export function createProofsPast(): (now: number) => number | undefined {
  let last = Number.NEGATIVE_INFINITY;
  let trustedFrom = last;
  return (now) => {
    if (Math.abs(now - last) > proofGraceSeconds) trustedFrom = now + proofGraceSeconds;
    last = now;
    return now < trustedFrom ? undefined : now - proofGraceSeconds;
  };
}

/**
 * Walks round and round along all tokens, a few rows a step, and forgets what has expired. The newest token of a label and
 * kind stays for ever: issued-at must never fall, and "expired, though the label bought a newer one" must stay answerable.
 */
export function createSweep(): Sweep {
  const start: [string, string, number] = ["", "", 0];
  let position = start;
  let orders = 0;
  return (queries, now) => {
    orders += 1;
    if (orders % ordersPerSweep !== 0) return;
    const limit = now - proofGraceSeconds;
    const rows = queries.next.all(...position);
    for (const [label, kind, issued_at, expiresAt] of rows) {
      if (expiresAt < limit && issued_at + rowlessLifeSeconds < limit) queries.forgetToken.run({ label, kind, issued_at });
    }
    const [label, kind, issuedAt] = rows.at(-1) ?? start;
    position = rows.length < sweptAtOnce ? start : [label, kind, issuedAt];
  };
}
