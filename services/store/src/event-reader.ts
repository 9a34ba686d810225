/** Reads the events of a file beside its writer, in their order. */
import type { EventRecord, EventWriter, Label, SignedCheckpoint } from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { readMigrations, schemaVersion } from "./migrations.ts";
import { openReader } from "./reader.ts";

/** What is asked of the events of one writer. */
export type EventReader = AsyncDisposable & {
  /** The oldest `limit` events after this sequence. */
  after(sequence: number, limit: number): Promise<readonly EventRecord[]>;
  /** The newest `limit` events of this label, the newest first. */
  ofLabel(label: Label, limit: number): Promise<readonly EventRecord[]>;
  /** Where the chain ends and where it begins, in the same moment; undefined where nothing was ever written. */
  bounds(): Promise<{ readonly head: SignedCheckpoint | undefined; readonly base: SignedCheckpoint | undefined }>;
};

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
    prepare: (db) => (schemaVersion(db) < firstSchema[writer] ? undefined : prepareEventReads(db)),
  });
  return {
    after: (sequence, limit) =>
      reader.read<readonly EventRecord[]>([], (queries) => queries?.after.all(sequence, limit).map(fromRow) ?? []),
    ofLabel: (label, limit) => reader.read<readonly EventRecord[]>([], (queries) => queries?.ofLabel.all(label, limit).map(fromRow) ?? []),
    bounds: () =>
      reader.read({ head: undefined, base: undefined }, (queries) => {
        const rows = queries?.checkpoints.all() ?? [];
        return { head: find(rows, "head"), base: find(rows, "base") };
      }),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

function prepareEventReads(db: Database) {
  return {
    after: db.prepare<[number, number], EventRow>("SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"),
    ofLabel: db.prepare<[string, number], EventRow>("SELECT * FROM events WHERE label = ? ORDER BY sequence DESC LIMIT ?"),
    checkpoints: db.prepare<[], CheckpointRow>("SELECT * FROM checkpoints"),
  };
}

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
