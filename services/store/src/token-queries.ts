/**
 * The statements of tokens.db. Instants are whole Unix seconds there, `Date` here.
 */
import { type CredentialKind, type Label, parseLabel, type RevocationRecord, type TokenReader, type TokenRecord } from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { kinds } from "./credential-kinds.ts";
import { gatherReads } from "./gathered-reads.ts";
import { schemaVersion } from "./migrations.ts";

/** Each order looks at this many old rows: more than it adds, so the file stops growing, and no order pays for all. */
const sweptPerOrder = 4;

/** Tokens are looked at for so many orders at once: to find the place costs as much as four of them. */
export const ordersPerSweep = 8;
export const sweptAtOnce = ordersPerSweep * sweptPerOrder;

/** A label that bought as many since the token at hand is looked up with statements that order. */
const foundRows = 8;

type TokenRow = { issued_at: number; expires_at: number };
/** issued_at, expires_at, not_before. */
type FoundRow = [number, number, number | null];
type FloorRow = { not_before: number; proofs_until: number };
type RevocationRow = { sequence: number; label: string; not_before: number };
type RepeatRow = { request_hash: string; until: number; key_id: string; issued_at: number; kind: CredentialKind; expires_at: number };
/** label, kind, issued_at, expires_at. */
type SweptRow = [string, string, number, number];

/** Seconds of an instant, rounded down; throws for an invalid date, which no caller may hand in. */
export function toSeconds(instant: Date): number {
  const seconds = Math.floor(instant.getTime() / 1000);
  if (!Number.isSafeInteger(seconds)) throw new RangeError("an instant is not a valid date");
  return seconds;
}

/** The instant of whole seconds. */
export const fromSeconds = (seconds: number): Date => new Date(seconds * 1000);

/**
 * Statements that read, for the writer and for readers. SQLite plans a statement anew at every use where it orders rows, takes
 * the `max` of those of a bound value, or its limit is bound, and that costs more than the look-up. So bound values that
 * something is the `max` of come as a row, `given`.
 */
export function prepareTokenReads(db: Database) {
  return {
    token: db.prepare<[string, string, number], TokenRow>(
      "SELECT issued_at, expires_at FROM tokens WHERE label = ? AND kind = ? AND issued_at = ?",
    ),
    newest: db.prepare<[string, string], TokenRow>(
      "SELECT newest.issued_at, newest.expires_at FROM (SELECT ? AS label, ? AS kind) AS given JOIN tokens AS newest " +
        "ON newest.label = given.label AND newest.kind = given.kind AND newest.issued_at = " +
        "(SELECT max(issued_at) FROM tokens WHERE tokens.label = given.label AND tokens.kind = given.kind)",
    ),
    notBefore: db.prepare<[string], number>("SELECT at FROM not_before WHERE label = ?").pluck(),
    // This one neither orders nor has a bound limit (see above), and says whether it gave all there is.
    sinceIssued: db
      .prepare<[string, string, string, number], FoundRow>(
        "SELECT issued_at, expires_at, (SELECT at FROM not_before WHERE label = ?) FROM tokens " +
          `WHERE label = ? AND kind = ? AND issued_at >= ? LIMIT ${foundRows}`,
      )
      .raw(),
    // What a backup that was put in place holds for every label. It is written before the file lies at its path, and never changes there.
    floor: schemaVersion(db) < 5 ? undefined : db.prepare<[], FloorRow>("SELECT not_before, proofs_until FROM floor").get(),
    // A file that its writer has not migrated yet holds no revocation: none was made before there was this table.
    revocations: schemaVersion(db) < 2 ? undefined : prepareRevocationReads(db),
  };
}

function prepareRevocationReads(db: Database) {
  return {
    after: db.prepare<[number], RevocationRow>("SELECT sequence, label, not_before FROM revocations WHERE sequence > ? ORDER BY sequence"),
    newest: db.prepare<[], number | null>("SELECT max(sequence) FROM revocations").pluck(),
  };
}

const kindTexts = Object.keys(kinds).map((kind) => `'${kind}'`);
const noToken = Number.MIN_SAFE_INTEGER;
const newestOfEachKind = kindTexts.map(
  (kind) => `ifnull((SELECT max(issued_at) FROM tokens WHERE tokens.label = given.label AND kind = ${kind}), ${noToken})`,
);

/** In the order of the primary key, which needs no saying. */
const firstProofs = `SELECT proof_key, ends_at FROM spent_proofs WHERE proof_key > '' LIMIT ${sweptPerOrder}`;

/** Statements of the writer alone. */
export function prepareTokenWrites(db: Database) {
  return {
    isSpent: db.prepare<[string], number>("SELECT 1 FROM spent_proofs WHERE proof_key = ?").pluck(),
    // A step down the tree for each kind: the label alone would read all its rows.
    newestOfLabel: db
      .prepare<[string], number>(`SELECT nullif(max(${newestOfEachKind}), ${noToken}) FROM (SELECT ? AS label) AS given`)
      .pluck(),
    spend: db.prepare<[string, number]>("INSERT INTO spent_proofs (proof_key, ends_at) VALUES (?, ?)"),
    record: db.prepare<[string, number, string, number]>("INSERT INTO tokens (label, issued_at, kind, expires_at) VALUES (?, ?, ?, ?)"),
    raiseNotBefore: db.prepare<[string, number]>(
      "INSERT INTO not_before (label, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
    ),
    proofsRevoked: db.prepare<[string], number>("SELECT until FROM proofs_revoked WHERE label = ?").pluck(),
    revokeProofs: db.prepare<[string, number]>(
      "INSERT INTO proofs_revoked (label, until) VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
    ),
    // Takes the place of the label's former row, at the next sequence.
    announce: db.prepare<[string, number]>("INSERT OR REPLACE INTO revocations (label, not_before) VALUES (?, ?)"),
    repeat: db.prepare<[string, string], RepeatRow>(
      "SELECT request_hash, until, key_id, issued_at, kind, expires_at FROM repeats JOIN tokens USING (label, issued_at) " +
        `WHERE label = ? AND key_hash = ? AND kind IN (${kindTexts.join(", ")})`,
    ),
    keepRepeat: db.prepare<[string, string, string, number, string, number]>(
      "INSERT OR REPLACE INTO repeats (label, key_hash, request_hash, issued_at, key_id, until) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    forgetRepeats: db.prepare<[number]>(
      "DELETE FROM repeats WHERE (label, key_hash) IN " +
        `(SELECT label, key_hash FROM repeats WHERE until < ? ORDER BY until LIMIT ${sweptPerOrder})`,
    ),
    // The first of the table were signed first: their keys begin with the second of it (the port asks for that). A JWT may live
    // longer than what was signed after it, by an hour at most.
    isProofPast: db.prepare<[number], number>(`SELECT 1 FROM (${firstProofs}) WHERE ends_at < ?`).pluck(),
    forgetProofs: db.prepare<[number]>(
      `DELETE FROM spent_proofs WHERE proof_key IN (SELECT proof_key FROM (${firstProofs}) WHERE ends_at < ?)`,
    ),
    // In the order of the primary key, which needs no saying: a row that is passed over comes in the next round.
    next: db
      .prepare<[string, string, number], SweptRow>(
        `SELECT label, kind, issued_at, expires_at FROM tokens WHERE (label, kind, issued_at) > (?, ?, ?) LIMIT ${sweptAtOnce}`,
      )
      .raw(),
    forgetToken: db.prepare<{ label: string; kind: string; issued_at: number }>(
      "DELETE FROM tokens WHERE label = @label AND kind = @kind AND issued_at = @issued_at AND EXISTS " +
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
    notBefore: (label) => query(({ notBefore, floor }) => later(notBefore.get(label), floor)),
    readCredential: createCredentialLookup(query, asRecord),
    revocationsAfter: async (sequence, limit) =>
      (await query(({ revocations }) => (revocations && limit >= 1 ? firstRecords(revocations.after.iterate(sequence), limit) : []))) ?? [],
    newestRevocation: async () => (await query(({ revocations }) => revocations?.newest.get() ?? 0)) ?? 0,
  };
}

/** The not-before in force: the label's own, or that of all labels. */
function later(at: number | null | undefined, floor: FloorRow | undefined): Date | undefined {
  if (typeof at !== "number") return floor && fromSeconds(floor.not_before);
  return fromSeconds(floor === undefined ? at : Math.max(at, floor.not_before));
}

/** The first `limit` that bear a label: a row that does not must keep nobody from those behind it. */
function firstRecords(rows: Iterable<RevocationRow>, limit: number): readonly RevocationRecord[] {
  const records: RevocationRecord[] = [];
  for (const { sequence, label: text, not_before } of rows) {
    const label = parseLabel(text);
    if (label !== undefined && records.push({ sequence, label, notBefore: fromSeconds(not_before) }) >= limit) break;
  }
  return records;
}

type CredentialRecords = Awaited<ReturnType<TokenReader["readCredential"]>>;
type AsRecord = (label: Label, kind: CredentialKind, row: TokenRow | undefined) => TokenRecord | undefined;
type Asked = { readonly label: Label; readonly kind: CredentialKind; readonly issuedAt: Date };

function createCredentialLookup(query: RunTokenQuery, asRecord: AsRecord): TokenReader["readCredential"] {
  function lookUp(queries: TokenReads, { label, kind, issuedAt }: Asked): CredentialRecords {
    const seconds = issuedAt.getTime() / 1000;
    const rows = Number.isSafeInteger(seconds) ? queries.sinceIssued.all(label, label, kind, seconds) : [];
    let recorded: TokenRow | undefined;
    let newest: TokenRow | undefined;
    for (const [issued_at, expires_at] of rows) {
      if (issued_at === seconds) recorded = { issued_at, expires_at };
      if (newest === undefined || issued_at > newest.issued_at) newest = { issued_at, expires_at };
    }
    if (rows.length === foundRows) recorded = queries.token.get(label, kind, seconds);
    if (rows.length === foundRows || newest === undefined) newest = queries.newest.get(label, kind);
    const [row] = rows;
    const at = row === undefined ? queries.notBefore.get(label) : row[2];
    return {
      recorded: asRecord(label, kind, recorded),
      newest: asRecord(label, kind, newest),
      notBefore: later(at, queries.floor),
    };
  }

  const ask = gatherReads((asked: readonly Asked[]) => query((queries) => asked.map((one) => lookUp(queries, one))));
  const nothing = { recorded: undefined, newest: undefined, notBefore: undefined };
  return async (label, kind, issuedAt) => (await ask({ label, kind, issuedAt })) ?? nothing;
}
