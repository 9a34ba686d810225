/**
 * The statements of tokens.db. Instants are whole Unix seconds there, `Date` here.
 */
import type { CredentialKind, Label, TokenReader, TokenRecord } from "@keyhole/core";
import type { Database } from "better-sqlite3";

/** Each order looks at this many old rows: more than it adds, so the file stops growing, and no order pays for all. */
export const sweptPerOrder = 4;

/** A label that bought as many since the token at hand is looked up with statements that order. */
const foundRows = 8;

type TokenRow = { issued_at: number; expires_at: number };
/** issued_at, expires_at, kind, not_before. */
type FoundRow = [number, number, string, number | null];
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
    // SQLite plans a statement anew at every use where it orders rows or its limit is bound: that costs a login more than
    // all its other look-ups. So this one does neither, and says whether it gave all there is.
    sinceIssued: db
      .prepare<[string, string, number], FoundRow>(
        "SELECT issued_at, expires_at, kind, (SELECT at FROM not_before WHERE label = ?) FROM tokens " +
          `WHERE label = ? AND issued_at >= ? LIMIT ${foundRows}`,
      )
      .raw(),
  };
}

/** Statements of the writer alone. */
export function prepareTokenWrites(db: Database) {
  return {
    isSpent: db.prepare<[string], number>("SELECT 1 FROM spent_proofs WHERE proof_key = ?").pluck(),
    newestOfLabel: db.prepare<[string], number | null>("SELECT max(issued_at) FROM tokens WHERE label = ?").pluck(),
    spend: db.prepare<[string, number]>("INSERT INTO spent_proofs (proof_key, ends_at) VALUES (?, ?)"),
    record: db.prepare<[string, number, string, number]>("INSERT INTO tokens (label, issued_at, kind, expires_at) VALUES (?, ?, ?, ?)"),
    forgetProofs: db.prepare<[number]>(
      `DELETE FROM spent_proofs WHERE proof_key IN (SELECT proof_key FROM spent_proofs WHERE ends_at < ? ORDER BY ends_at LIMIT ${sweptPerOrder})`,
    ),
    expired: db.prepare<[number, string, number, number], SweptRow>(
      "SELECT label, kind, issued_at, expires_at FROM tokens WHERE (expires_at, label, issued_at) > (?, ?, ?) AND expires_at < ? " +
        `ORDER BY expires_at, label, issued_at LIMIT ${sweptPerOrder}`,
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
  const asRecord: AsRecord = (label, kind, row) =>
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
    readCredential: createCredentialLookup(query, asRecord),
  };
}

type CredentialRecords = Awaited<ReturnType<TokenReader["readCredential"]>>;
type AsRecord = (label: Label, kind: CredentialKind, row: TokenRow | undefined) => TokenRecord | undefined;
type Asked = { readonly label: Label; readonly kind: CredentialKind; readonly issuedAt: Date };
type Waiting = Asked & PromiseWithResolvers<CredentialRecords>;

/** How long logins are gathered before they are looked up, in ms. */
const gatherMs = 1;

/**
 * Logins that come within a millisecond are looked up together: in a row a look-up costs 3 µs, between other work, with
 * everything it needs gone from the processor's caches, 20 to 60. What it sees is newer for the waiting, not older.
 */
function createCredentialLookup(query: RunTokenQuery, asRecord: AsRecord): TokenReader["readCredential"] {
  let waiting: Waiting[] = [];

  function lookUp(queries: TokenReads, { label, kind, issuedAt }: Asked): CredentialRecords {
    const seconds = issuedAt.getTime() / 1000;
    const rows = Number.isSafeInteger(seconds) ? queries.sinceIssued.all(label, label, seconds) : [];
    let recorded: TokenRow | undefined;
    let newest: TokenRow | undefined;
    for (const [issued_at, expires_at, ofKind] of rows) {
      if (ofKind !== kind) continue;
      if (issued_at === seconds) recorded = { issued_at, expires_at };
      if (newest === undefined || issued_at > newest.issued_at) newest = { issued_at, expires_at };
    }
    if (rows.length === foundRows) recorded = queries.token.get(label, kind, seconds);
    if (rows.length === foundRows || newest === undefined) newest = queries.newest.get(label, kind);
    const [row] = rows;
    const at = row === undefined ? queries.notBefore.get(label) : row[3];
    return {
      recorded: asRecord(label, kind, recorded),
      newest: asRecord(label, kind, newest),
      notBefore: typeof at === "number" ? fromSeconds(at) : undefined,
    };
  }

  function lookUpAll(): void {
    const batch = waiting;
    waiting = [];
    const nothing = { recorded: undefined, newest: undefined, notBefore: undefined };
    query((queries) => batch.map((asked) => lookUp(queries, asked))).then(
      (found) => {
        for (const [index, { resolve }] of batch.entries()) resolve(found?.[index] ?? nothing);
      },
      (fault: unknown) => {
        for (const { reject } of batch) reject(fault);
      },
    );
  }

  return (label, kind, issuedAt) => {
    const asked = { label, kind, issuedAt, ...Promise.withResolvers<CredentialRecords>() };
    if (waiting.push(asked) === 1) setTimeout(lookUpAll, gatherMs);
    return asked.promise;
  };
}
