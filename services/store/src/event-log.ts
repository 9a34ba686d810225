/**
 * Appends events in the transaction that they tell of: what is noted while its work runs is hashed, written and signed for
 * at the end of that transaction, and taken back with it. So an event is there if and only if what it tells has happened.
 *
 * What is older than the retention goes a few rows at a time, from the front; the signed `base` says where the chain begins.
 */
import {
  type Checkpoint,
  type CheckpointSigner,
  chainStart,
  type EventEntry,
  type EventWriter,
  hashEvent,
  renderCheckpoint,
} from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { type IsSigned, isEndOurs, lastSigned } from "./chain-end.ts";
import type { Journal } from "./writer.ts";

/** How a file keeps its events. Without a signer the checkpoints bear no signature. */
export type EventSettings = {
  readonly signer: CheckpointSigner | undefined;
  /** Judges what the file says of its end when it is opened; where that is not so, the first event written says it. Without it nothing is judged. */
  readonly isSigned?: IsSigned | undefined;
  /** Events older than this are forgotten, in ms. */
  readonly keepMs: number;
  /** More than so many are not kept, whatever their age. */
  readonly keepRows: number;
};

/** For whoever says nothing else: 90 days, a million rows. */
export const defaultEventSettings: EventSettings = { signer: undefined, keepMs: 90 * 86_400_000, keepRows: 1_000_000 };

/** What the other statements of a writer note events with. */
export type EventLog = Journal & { note(entry: EventEntry): void };

type CheckpointRow = { sequence: number; hash: Buffer; at: number };

/** The oldest rows are looked at once in so many transactions, and so many of them go at most. */
const commitsPerLook = 16;
const prunedAtOnce = 256;

/** Prepares the log on the connection of the file's writer. */
export function openEventLog(db: Database, writer: EventWriter, settings: EventSettings): EventLog {
  const insert = db.prepare<[number, number, string, string | null, string, Uint8Array]>("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)");
  const mark = db.prepare<[string, number, Uint8Array, number, string, Uint8Array]>(
    "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
  );
  const read = db.prepare<[string], CheckpointRow>("SELECT sequence, hash, at FROM checkpoints WHERE name = ?");
  const oldest = db.prepare<[number], CheckpointRow>(
    `SELECT sequence, hash, at FROM events WHERE sequence > ? ORDER BY sequence LIMIT ${prunedAtOnce}`,
  );
  const keepSigned = db.prepare<[string]>(
    "INSERT OR REPLACE INTO checkpoints SELECT ?, sequence, hash, at, key_id, signature FROM checkpoints WHERE name = 'head' AND key_id <> ''",
  );
  const forget = db.prepare<[number]>("DELETE FROM events WHERE sequence <= ?");
  const start = (name: string): Checkpoint => {
    const row = read.get(name);
    return row === undefined ? { sequence: 0, hash: chainStart, at: new Date(0) } : { ...row, at: new Date(row.at) };
  };

  let head = start("head");
  let base = start("base");
  let next = { head, base };
  /** Not ours: whoever signs for what follows says so first. */
  let isDoubted = settings.isSigned !== undefined && !isEndOurs(db, settings.isSigned);
  let commits = 0;
  const noted: EventEntry[] = [];

  function sign(name: "head" | "base", checkpoint: Checkpoint): void {
    const { signer } = settings;
    const signature = signer === undefined ? new Uint8Array() : signer.sign(renderCheckpoint(writer, checkpoint));
    mark.run(name, checkpoint.sequence, checkpoint.hash, checkpoint.at.getTime(), signer?.keyId ?? "", signature);
  }

  function append(): Checkpoint {
    let last = head;
    const doubt: EventEntry[] = isDoubted && noted[0] ? [{ at: noted[0].at, event: "chain.doubted", detail: { end: head.sequence } }] : [];
    for (const { at, event, label, detail } of [...doubt, ...noted]) {
      const row = { sequence: last.sequence + 1, at, event, label, detail: JSON.stringify(detail) };
      const hash = hashEvent(last.hash, row);
      insert.run(row.sequence, at.getTime(), event, label ?? null, row.detail, hash);
      last = { sequence: row.sequence, hash, at };
    }
    return last;
  }

  /** The newest that goes stays as the signed base: nobody else can say that older ones went. */
  function prune(newest: Checkpoint): Checkpoint {
    const limit = newest.at.getTime() - settings.keepMs;
    const surplus = newest.sequence - settings.keepRows;
    const last = oldest.all(base.sequence).findLast(({ sequence, at }) => sequence <= surplus || at < limit);
    if (last === undefined || last.sequence >= newest.sequence) return base;
    forget.run(last.sequence);
    return { sequence: last.sequence, hash: last.hash, at: newest.at };
  }

  return {
    note: (entry) => void noted.push(entry),
    mark: () => noted.length,
    rewind(length) {
      noted.length = length;
    },
    write() {
      next = { head, base };
      if (noted.length === 0) return;
      const last = append();
      commits += 1;
      const from = commits % commitsPerLook === 0 ? prune(last) : base;
      if (settings.signer === undefined) keepSigned.run(lastSigned);
      if (base.sequence === 0 && head.sequence === 0) sign("base", base);
      if (from !== base) sign("base", from);
      sign("head", last);
      next = { head: last, base: from };
    },
    settle(isCommitted) {
      const isWritten = isCommitted && next.head !== head;
      noted.length = 0;
      if (isCommitted) ({ head, base } = next);
      if (isWritten) isDoubted = false;
    },
  };
}
