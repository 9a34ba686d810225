/** Reads the events of a file beside its writer, in their order. */
import type { EventName, EventRecord, EventWriter, Label, SignedCheckpoint } from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { readMigrations, schemaVersion } from "./migrations.ts";
import { openReader } from "./reader.ts";

/** What is asked of the events of one writer. */
export type EventReader = AsyncDisposable & {
  /** The oldest `limit` events after this sequence. */
  after(sequence: number, limit: number): Promise<readonly EventRecord[]>;
  /** The newest `limit` events before this sequence, the newest first. */
  before(sequence: number, limit: number): Promise<readonly EventRecord[]>;
  /** The newest `limit` events of this name, the newest first. There is no index: it reads back to the last of them. */
  newestOf(event: EventName, limit: number): Promise<readonly EventRecord[]>;
  /**
   * The newest `limit` events of this label, the newest first. Where an index would cost every token (`tokens`), only the newest
   * 20,000 events of all are looked at.
   */
  ofLabel(label: Label, limit: number): Promise<readonly EventRecord[]>;
  /** Where the chain ends and where it begins, in the same moment; undefined where nothing was ever written. */
  bounds(): Promise<ChainBounds>;
  /**
   * Hands over the whole chain as it is at one moment, row by row: whatever its writer adds or forgets meanwhile. `work` may
   * not wait. Undefined when there is no file, or none that has events.
   */
  walk<Answer>(work: (chain: ChainBounds & { readonly rows: Iterable<EventRecord> }) => Answer): Promise<Answer | undefined>;
};

/** The signed ends of a chain. */
export type ChainBounds = { readonly head: SignedCheckpoint | undefined; readonly base: SignedCheckpoint | undefined };

type EventRow = { sequence: number; at: number; event: string; label: string | null; detail: string; hash: Buffer };
type CheckpointRow = { name: string; sequence: number; hash: Buffer; at: number; key_id: string; signature: Buffer };

/** The first step of each schema that has events. */
const firstSchema = { tokens: 5, sessions: 4 } as const;

/** Opens a reader. Never throws: what is wrong is said at each read. A file that is not there has no events. */
export function openEventReader({ path, writer }: { readonly path: string; readonly writer: EventWriter }): EventReader {
  const reader = openReader({
    path,
    migrations: readMigrations(writer),
    oldestSchema: 1,
    // Within one process SQLite shares the index of a log among all connections to a file. This one is beside the writer's, or beside
    // that of who is asked about revocations: kept open, it would hold them to an index that was removed.
    isKept: false,
    prepare: (db) => (schemaVersion(db) < firstSchema[writer] ? undefined : prepareEventReads(db, writer)),
  });
  return {
    after: (sequence, limit) =>
      reader.read<readonly EventRecord[]>([], (queries) => queries?.after.all(sequence, limit).map(fromRow) ?? []),
    before: (sequence, limit) =>
      reader.read<readonly EventRecord[]>([], (queries) => queries?.before.all(sequence, limit).map(fromRow) ?? []),
    newestOf: (event, limit) =>
      reader.read<readonly EventRecord[]>([], (queries) => queries?.newestOf.all(event, limit).map(fromRow) ?? []),
    ofLabel: (label, limit) => reader.read<readonly EventRecord[]>([], (queries) => queries?.ofLabel.all(label, limit).map(fromRow) ?? []),
    bounds: () => reader.read<ChainBounds>({ head: undefined, base: undefined }, (queries) => findBounds(queries?.checkpoints.all() ?? [])),
    walk: (work) =>
      reader.read<ReturnType<typeof work> | undefined>(undefined, (queries) =>
        queries?.inOneMoment(() => work({ ...findBounds(queries.checkpoints.all()), rows: fromRows(queries.all.iterate()) })),
      ),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

/** Read back to front, as they lie. */
const newestEvents = "(SELECT * FROM events ORDER BY sequence DESC LIMIT 20000)";

function prepareEventReads(db: Database, writer: EventWriter) {
  return {
    after: db.prepare<[number, number], EventRow>("SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"),
    before: db.prepare<[number, number], EventRow>("SELECT * FROM events WHERE sequence < ? ORDER BY sequence DESC LIMIT ?"),
    newestOf: db.prepare<[string, number], EventRow>("SELECT * FROM events WHERE event = ? ORDER BY sequence DESC LIMIT ?"),
    all: db.prepare<[], EventRow>("SELECT * FROM events ORDER BY sequence"),
    ofLabel: db.prepare<[string, number], EventRow>(
      `SELECT * FROM ${writer === "tokens" ? newestEvents : "events"} WHERE label = ? ORDER BY sequence DESC LIMIT ?`,
    ),
    checkpoints: db.prepare<[], CheckpointRow>("SELECT * FROM checkpoints"),
    inOneMoment: <Answer>(work: () => Answer): Answer => db.transaction(work)(),
  };
}

function* fromRows(rows: Iterable<EventRow>): Iterable<EventRecord> {
  for (const row of rows) yield fromRow(row);
}

const findBounds = (rows: readonly CheckpointRow[]): ChainBounds => ({ head: find(rows, "head"), base: find(rows, "base") });

const fromRow = ({ sequence, at, event, label, detail, hash }: EventRow): EventRecord => ({
  sequence,
  at: new Date(at),
  event,
  label: label ?? undefined,
  detail,
  hash,
});

function find(rows: readonly CheckpointRow[], name: "head" | "base"): SignedCheckpoint | undefined {
  const row = rows.find((each) => each.name === name);
  return row && { sequence: row.sequence, hash: row.hash, at: new Date(row.at), keyId: row.key_id, signature: row.signature };
}
