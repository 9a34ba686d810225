/**
 * The statements of tokens.db. Instants are whole Unix seconds there, `Date` here.
 */
import type { CredentialKind, Label, TokenReader, TokenRecord } from "@keyhole/core";
import type { Database } from "better-sqlite3";

type TokenRow = { issued_at: number; expires_at: number };
type SweptRow = { label: string; kind: string; issued_at: number; expires_at: number };

/** Seconds of an instant, rounded down; throws for an invalid date, which no caller may hand in. */
export function toSeconds(instant: Date): number {
  const seconds = Math.floor(instant.getTime() / 1000);
  if (!Number.isSafeInteger(seconds)) throw new RangeError("an instant is not a valid date");
  return seconds;
}

/** The instant of whole seconds. */
export const fromSeconds = (seconds: number): Date => new Date(seconds * 1000);

/** Statements that read, for the writer and for readers. */
export function prepareTokenReads(db: Database) {
  return {
    token: db.prepare<[string, string, number], TokenRow>(
      "SELECT issued_at, expires_at FROM tokens WHERE label = ? AND kind = ? AND issued_at = ?",
    ),
    newest: db.prepare<[string, string], TokenRow>(
      "SELECT issued_at, expires_at FROM tokens WHERE label = ? AND kind = ? ORDER BY issued_at DESC LIMIT 1",
    ),
    notBefore: db.prepare<[string], number>("SELECT at FROM not_before WHERE label = ?").pluck(),
  };
}

/** Statements of the writer alone. */
export function prepareTokenWrites(db: Database) {
  return {
    isSpent: db.prepare<[string], number>("SELECT 1 FROM spent_proofs WHERE proof_key = ?").pluck(),
    newestOfLabel: db.prepare<[string], number | null>("SELECT max(issued_at) FROM tokens WHERE label = ?").pluck(),
    spend: db.prepare<[string, number]>("INSERT INTO spent_proofs (proof_key, ends_at) VALUES (?, ?)"),
    record: db.prepare<[string, number, string, number]>("INSERT INTO tokens (label, issued_at, kind, expires_at) VALUES (?, ?, ?, ?)"),
    forgetProofs: db.prepare<[number, number]>(
      "DELETE FROM spent_proofs WHERE proof_key IN (SELECT proof_key FROM spent_proofs WHERE ends_at < ? ORDER BY ends_at LIMIT ?)",
    ),
    expired: db.prepare<[number, string, number, number, number], SweptRow>(
      "SELECT label, kind, issued_at, expires_at FROM tokens WHERE (expires_at, label, issued_at) > (?, ?, ?) AND expires_at < ? " +
        "ORDER BY expires_at, label, issued_at LIMIT ?",
    ),
    forgetToken: db.prepare<{ label: string; kind: string; issued_at: number }>(
      "DELETE FROM tokens WHERE label = @label AND issued_at = @issued_at AND EXISTS " +
        "(SELECT 1 FROM tokens AS newer WHERE newer.label = @label AND newer.kind = @kind AND newer.issued_at > @issued_at)",
    ),
  };
}

/** What `prepareTokenReads` makes. */
type TokenReads = ReturnType<typeof prepareTokenReads>;

/** What `prepareTokenWrites` makes. */
export type TokenWrites = ReturnType<typeof prepareTokenWrites>;

/** Runs a query on whatever connection there is; undefined when the file does not exist yet. */
export type RunTokenQuery = <Answer>(work: (queries: TokenReads) => Answer | undefined) => Promise<Answer | undefined>;

/** The reading half of the port, for the writer's connection and for a reader's. */
export function createTokenReads(query: RunTokenQuery): TokenReader {
  const asRecord = (label: Label, kind: CredentialKind, row: TokenRow | undefined): TokenRecord | undefined =>
    row && { label, kind, issuedAt: fromSeconds(row.issued_at), expiresAt: fromSeconds(row.expires_at) };
  return {
    findToken: (label, kind, issuedAt) =>
      query(({ token }) => {
        const seconds = issuedAt.getTime() / 1000;
        return Number.isSafeInteger(seconds) ? asRecord(label, kind, token.get(label, kind, seconds)) : undefined;
      }),
    newestToken: (label, kind) => query(({ newest }) => asRecord(label, kind, newest.get(label, kind))),
    notBefore: (label) =>
      query(({ notBefore }) => {
        const at = notBefore.get(label);
        return at === undefined ? undefined : fromSeconds(at);
      }),
  };
}
