/**
 * The statements of sessions.db. Instants are Unix milliseconds there, `Date` here; issued_at is whole seconds.
 */
import {
  type CredentialKind,
  Fault,
  isSelfSigned,
  type Label,
  parseLabel,
  type SessionEnd,
  type SessionReader,
  type SessionRecord,
} from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { kinds } from "./credential-kinds.ts";
import { gatherReads } from "./gathered-reads.ts";
import { schemaVersion } from "./migrations.ts";
import { createOperatorReads, prepareOperatorReads } from "./operator-queries.ts";

/** A row of `sessions`. */
export type SessionRow = {
  label: string;
  generation: number;
  kind: string;
  issued_at: number;
  ends_at: number;
  admitted_at: number;
  connected_at: number | null;
  closed_at: number | null;
  end: string | null;
};

/** Rows kept a label, twice: the newest generations, and the highest ranks. */
const keptRows = 20;

/** So many rows of a label, and it is cleaned up: a clean-up costs more than five rows, so not every row pays for one. */
const mostRows = 4 * keptRows;

const ends: Readonly<Record<SessionEnd, true>> = { closed: true, displaced: true, expired: true, lost: true, evicted: true, kicked: true };

const newestIssued = "SELECT issued_at FROM newest_issued WHERE label = ? AND kind = ?";
/** The same in a file that its writer has not migrated yet. */
const newestIssuedOfRows = "SELECT max(issued_at) FROM sessions WHERE label = ? AND kind = ?";

/** Statements that read, for the writer and for readers. */
export function prepareSessionReads(db: Database) {
  return {
    session: db.prepare<[string, number], SessionRow>("SELECT * FROM sessions WHERE label = ? AND generation = ?"),
    newestIssued: db.prepare<[string, string], number | null>(schemaVersion(db) < 3 ? newestIssuedOfRows : newestIssued).pluck(),
    // Where `max` meets a bound value SQLite plans anew at every use, so the label comes as a row.
    highest: db
      .prepare<[string], number | null>(
        "SELECT (SELECT max(generation) FROM sessions WHERE label = given.label) FROM (SELECT ? AS label) AS given",
      )
      .pluck(),
    lastSeen: db.prepare<[string], number>("SELECT at FROM last_seen WHERE label = ?").pluck(),
    recentlySeen: db.prepare<[number], { label: string; at: number }>("SELECT label, at FROM last_seen ORDER BY at DESC LIMIT ?"),
    ofLabel: db.prepare<[string, number], SessionRow>("SELECT * FROM sessions WHERE label = ? ORDER BY generation DESC LIMIT ?"),
    ...prepareOperatorReads(db),
    unended: db.prepare<[], SessionRow>("SELECT * FROM sessions WHERE closed_at IS NULL"),
    highestOfAll: db.prepare<[], number | null>("SELECT max(generation) FROM sessions").pluck(),
    watched: db.prepare<[], number>("SELECT at FROM watched").pluck(),
  };
}

/** Statements of the writer alone. */
export function prepareSessionWrites(db: Database) {
  return {
    save: db.prepare<[string, number, string, number, number, number, number | null, number | null, string | null]>(
      "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET kind = excluded.kind, issued_at = excluded.issued_at, ends_at = excluded.ends_at, " +
        "admitted_at = excluded.admitted_at, connected_at = excluded.connected_at, closed_at = excluded.closed_at, end = excluded.end",
    ),
    count: db.prepare<[string], number>("SELECT count(*) FROM sessions WHERE label = ?").pluck(),
    // The highest ranks are kept beside the newest: whoever holds an old token could else push out, by logging in often,
    // the row that remembers how far the owner's session was renewed.
    forget: db.prepare<{ label: string; generation: number }>(
      "DELETE FROM sessions WHERE label = @label AND generation <> @generation " +
        `AND generation NOT IN (SELECT generation FROM sessions WHERE label = @label ORDER BY generation DESC LIMIT ${keptRows}) ` +
        `AND generation NOT IN (SELECT generation FROM sessions WHERE label = @label ORDER BY issued_at DESC, generation DESC LIMIT ${keptRows})`,
    ),
    issue: db.prepare<[string, string, number]>(
      "INSERT INTO newest_issued (label, kind, issued_at) VALUES (?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET issued_at = excluded.issued_at WHERE excluded.issued_at > issued_at",
    ),
    see: db.prepare<[string, number]>("INSERT INTO last_seen VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"),
    watch: db.prepare<[number]>("INSERT INTO watched VALUES (1, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"),
  };
}

/** What `prepareSessionReads` makes. */
type SessionReads = ReturnType<typeof prepareSessionReads>;

/** What `prepareSessionWrites` makes. */
export type SessionWrites = ReturnType<typeof prepareSessionWrites>;

/** Runs a query on whatever connection there is; `absent` when the file does not exist yet. */
export type RunSessionQuery = <Answer>(absent: Answer, work: (queries: SessionReads) => Answer) => Promise<Answer>;

/** The reading half of the port, for the writer's connection and for a reader's. */
export function createSessionReads(query: RunSessionQuery): SessionReader {
  const askNewest = gatherReads((asked: readonly { readonly label: Label; readonly kind: CredentialKind }[]) =>
    query<readonly (number | undefined)[]>([], ({ newestIssued }) =>
      asked.map(({ label, kind }) => {
        const seconds = newestIssued.get(label, kind);
        return typeof seconds === "number" ? seconds * 1000 : undefined;
      }),
    ),
  );
  return {
    findSession: (label, generation) =>
      query<SessionRecord | undefined>(undefined, ({ session }) => {
        if (!Number.isSafeInteger(generation)) return undefined;
        const row = session.get(label, generation);
        return row && fromRow(label, row);
      }),
    // Of the other kinds nothing is written any more, and old rows may say something.
    newestIssuedAt: async (label, kind) => (isSelfSigned(kind) ? toDate(await askNewest({ label, kind })) : undefined),
    highestGeneration: (label) => query(0, ({ highest }) => highest.get(label) ?? 0),
    lastSeen: (label) => query<Date | undefined>(undefined, ({ lastSeen }) => toDate(lastSeen.get(label))),
    recentlySeen: (limit) =>
      query<ReadonlyMap<Label, Date>>(new Map(), ({ recentlySeen }) => {
        const seen = new Map<Label, Date>();
        for (const row of recentlySeen.all(Math.max(0, Math.floor(limit)))) {
          const label = parseLabel(row.label);
          if (label !== undefined) seen.set(label, new Date(row.at));
        }
        return seen;
      }),
    sessionsOf: (label, limit) =>
      query<readonly SessionRecord[]>([], ({ ofLabel }) =>
        ofLabel.all(label, Math.max(0, Math.floor(limit))).map((row) => fromRow(label, row)),
      ),
    ...createOperatorReads(query),
    unendedSessions: () =>
      query<readonly SessionRecord[]>([], ({ unended }) =>
        unended.all().flatMap((row) => {
          const label = parseLabel(row.label);
          return label === undefined ? [] : [fromRow(label, row)];
        }),
      ),
    highestGenerationOfAll: () => query(0, ({ highestOfAll }) => highestOfAll.get() ?? 0),
    watchedUntil: () => query<Date | undefined>(undefined, ({ watched }) => toDate(watched.get())),
  };
}

/** The row of a record. Throws for what no caller may hand in, before it can touch anybody else's row. */
export function toRow(record: SessionRecord): SessionRow {
  if (!Number.isSafeInteger(record.generation) || record.generation <= 0) throw new RangeError("a generation is no positive whole number");
  if (typeof record.label !== "string") throw new RangeError("a label is no text");
  return {
    label: record.label,
    generation: record.generation,
    kind: record.kind,
    issued_at: Math.floor(toMs(record.issuedAt) / 1000),
    ends_at: toMs(record.endsAt),
    admitted_at: toMs(record.admittedAt),
    connected_at: record.connectedAt === undefined ? null : toMs(record.connectedAt),
    closed_at: record.closedAt === undefined ? null : toMs(record.closedAt),
    end: record.end ?? null,
  };
}

/** Milliseconds of an instant; throws for an invalid date. */
export function toMs(instant: Date): number {
  const ms = instant.getTime();
  if (!Number.isSafeInteger(ms)) throw new RangeError("an instant is not a valid date");
  return ms;
}

/** Writes the row and keeps the label's rows bounded. */
export function saveRow(queries: SessionWrites, row: SessionRow): void {
  const { label, generation, kind, issued_at, ends_at, admitted_at, connected_at, closed_at, end } = row;
  queries.save.run(label, generation, kind, issued_at, ends_at, admitted_at, connected_at, closed_at, end);
  if ((queries.count.get(label) ?? 0) > mostRows) queries.forget.run({ label, generation });
}

/** Remembers the row's issued-at for its label and kind, if it is the newest. */
export function saveNewestIssued(queries: SessionWrites, row: SessionRow): void {
  queries.issue.run(row.label, row.kind, row.issued_at);
}

/** The record of a row. */
export function fromRow(label: Label, row: SessionRow): SessionRecord {
  return {
    label,
    generation: row.generation,
    kind: known(kinds, row.kind),
    issuedAt: new Date(row.issued_at * 1000),
    endsAt: new Date(row.ends_at),
    admittedAt: new Date(row.admitted_at),
    connectedAt: toDate(row.connected_at),
    closedAt: toDate(row.closed_at),
    end: row.end === null ? undefined : known(ends, row.end),
  };
}

const toDate = (ms: number | null | undefined): Date | undefined => (ms === null || ms === undefined ? undefined : new Date(ms));

function known<Word extends string>(words: Readonly<Record<Word, true>>, text: string): Word {
  if (Object.hasOwn(words, text)) return text as Word;
  throw new Fault(
    "STORE_UNAVAILABLE",
    `sessions hold the word "${text}", which this version of Keyhole does not know. Update this process.`,
  );
}
