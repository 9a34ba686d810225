/**
 * tokens.db, written by the token service alone (DESIGN.md §7). A proof buys one token, in one transaction
 * (invariant 5), and the answer leaves after the commit (invariant 6).
 */
import type { TokenOrder, TokenOutcome, TokenReader, TokenStore } from "@keyhole/core";
import type { Log } from "./log.ts";
import { readMigrations } from "./migrations.ts";
import { openReader } from "./reader.ts";
import {
  createTokenReads,
  fromSeconds,
  prepareTokenReads,
  prepareTokenWrites,
  sweptPerOrder,
  type TokenWrites,
  toSeconds,
} from "./token-queries.ts";
import { openWriter } from "./writer.ts";

/** A token may be issued this far ahead of now; the plugin tolerates as much. */
const maxAheadSeconds = 2;

/** How long a spent proof is kept after it could last be repeated. A clock set back by less than this opens no gap. */
const proofGraceSeconds = 3600;

/**
 * A token without a row counts as valid until issued-at + min(ttl, 24 h) (DESIGN.md §4). A row is forgotten only when
 * that has passed too: else an expired token would come to life again when its row goes.
 */
const rowlessLifeSeconds = 24 * 3600;

/** Opens tokens.db as its one writer. Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`. */
export async function openTokenStore(options: { path: string; log: Log }): Promise<TokenStore & TokenReader> {
  const writer = openWriter({
    ...options,
    migrations: readMigrations("tokens"),
    prepare: (db) => ({ ...prepareTokenReads(db), ...prepareTokenWrites(db), sweep: createSweep() }),
  });
  return {
    ...createTokenReads((work) => writer.read(work)),
    async orderToken(order) {
      const wanted = readOrder(order);
      return writer.write((queries) => decideOrder(queries, wanted));
    },
    check: () => writer.check(),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** Reads tokens.db beside its writer. As long as the file has never been there, nothing is recorded. Never throws at open. */
export async function openTokenReader(options: { path: string }): Promise<TokenReader & AsyncDisposable> {
  const reader = openReader({ ...options, migrations: readMigrations("tokens"), prepare: prepareTokenReads });
  return {
    ...createTokenReads((work) => reader.read(undefined, work)),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

type WantedToken = Omit<TokenOrder, "proofEndsAt" | "now"> & { readonly nowMs: number; readonly proofEndsAtSeconds: number };

/** Checks what types cannot. Done before the order is queued: a mistake of one caller is never another's. */
function readOrder(order: TokenOrder): WantedToken {
  const { label, kind, proofKey, ttlSeconds } = order;
  if (proofKey === "") throw new RangeError("an order has no proof");
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds <= 0) throw new RangeError("an order's ttlSeconds is no positive whole number");
  toSeconds(order.now);
  return { label, kind, proofKey, ttlSeconds, nowMs: order.now.getTime(), proofEndsAtSeconds: toSeconds(order.proofEndsAt) + 1 };
}

function decideOrder(queries: OrderQueries, order: WantedToken): TokenOutcome {
  const { label, kind, nowMs } = order;
  const now = Math.floor(nowMs / 1000);
  if (queries.isSpent.get(order.proofKey) !== undefined) return { outcome: "proof-already-used" };
  const newest = queries.newestOfLabel.get(label) ?? Number.NEGATIVE_INFINITY;
  const issuedAt = Math.max(now, queries.notBefore.get(label) ?? now, newest + 1);
  if (issuedAt * 1000 > nowMs + maxAheadSeconds * 1000) return { outcome: "too-fast" };
  const expiresAt = issuedAt + order.ttlSeconds;
  queries.spend.run(order.proofKey, order.proofEndsAtSeconds);
  queries.record.run(label, issuedAt, kind, expiresAt);
  queries.forgetProofs.run(now - proofGraceSeconds);
  queries.sweep(queries, now);
  return { outcome: "recorded", token: { label, kind, issuedAt: fromSeconds(issuedAt), expiresAt: fromSeconds(expiresAt) } };
}

type OrderQueries = TokenWrites & ReturnType<typeof prepareTokenReads> & { readonly sweep: Sweep };
type Sweep = (queries: TokenWrites, now: number) => void;

/**
 * Walks once more and again over what has expired, a few rows a step. The newest token of a label and kind stays for
 * ever: issued-at must never fall, and "expired, though the label bought a newer one" must stay answerable.
 */
function createSweep(): Sweep {
  const start: [number, string, number] = [Number.MIN_SAFE_INTEGER, "", 0];
  let position = start;
  return (queries, now) => {
    const limit = now - proofGraceSeconds;
    const rows = queries.expired.all(...position, limit);
    for (const row of rows) {
      if (row.issued_at + rowlessLifeSeconds < limit) queries.forgetToken.run(row);
    }
    const last = rows.at(-1);
    position = last === undefined || rows.length < sweptPerOrder ? start : [last.expires_at, last.label, last.issued_at];
  };
}
