/**
 * Carries over what happened since the backup, where the former file's chain of events goes on from the backup's: then history has
 * no gap, and the chain no seam. Row by row it is gone over before it is believed; all of it comes, or nothing.
 */
import { chainStart, hashEvent } from "@keyhole/core";
import Database from "better-sqlite3";
import { readHead } from "./backup.ts";
import type { Former } from "./restore-former.ts";

type EventRow = { sequence: number; at: number; event: string; label: string | null; detail: string; hash: Buffer };
type CheckpointRow = { name: string; sequence: number; hash: Buffer; at: number; key_id: string; signature: Buffer };

/** Returns how many events were carried over; `undefined`: the former chain is no continuation of the backup's. Nobody else may have the file open. */
export function carryEvents({ path, former }: { readonly path: string; readonly former: Former }): number | undefined {
  const db = new Database(path, { fileMustExist: true });
  try {
    return db.transaction(() => append(db, former)).immediate();
  } catch (error) {
    if (error instanceof Seam) return undefined;
    throw error;
  } finally {
    db.close();
  }
}

/** The two chains do not belong together, or the former one is damaged: whatever was carried over is taken back. */
class Seam extends Error {}

function append(db: Database.Database, former: Former): number | undefined {
  const end = readHead(db);
  const wanted = former.head;
  const from = end?.sequence ?? 0;
  let last: { readonly sequence: number; readonly hash: Buffer } = {
    sequence: from,
    hash: end === undefined ? Buffer.from(chainStart) : Buffer.from(end.hash, "hex"),
  };
  if (wanted === undefined || wanted.sequence <= from || !knows(former, last)) return undefined;
  const insert = db.prepare("INSERT INTO events VALUES (@sequence, @at, @event, @label, @detail, @hash)");
  const isWhole = former.each<EventRow>(`SELECT * FROM events WHERE sequence > ${from} ORDER BY sequence`, (row) => {
    const { sequence, at, event, label, detail, hash } = row;
    const expected = hashEvent(last.hash, { sequence, at: new Date(at), event, label: label ?? undefined, detail });
    if (sequence !== last.sequence + 1 || !hash.equals(expected)) throw new Seam();
    insert.run(row);
    last = { sequence, hash };
  });
  if (!isWhole || last.hash.toString("hex") !== wanted.hash) throw new Seam();
  // Signed by whoever wrote it: the next event signs for all of them again.
  former.each<CheckpointRow>("SELECT * FROM checkpoints WHERE name IN ('head', 'signed')", (row) => {
    db.prepare("INSERT OR REPLACE INTO checkpoints VALUES (@name, @sequence, @hash, @at, @key_id, @signature)").run(row);
  });
  if (from === 0)
    former.each<CheckpointRow>("SELECT * FROM checkpoints WHERE name = 'base'", (row) => {
      db.prepare("INSERT OR REPLACE INTO checkpoints VALUES ('base', @sequence, @hash, @at, @key_id, @signature)").run(row);
    });
  return last.sequence - from;
}

/** True when the former chain has this row too, whether it still lies there or is the base. */
function knows(former: Former, { sequence, hash }: { readonly sequence: number; readonly hash: Buffer }): boolean {
  if (sequence === 0) return true;
  let isKnown = false;
  const compare = (row: { hash: Buffer }): void => {
    isKnown ||= row.hash.equals(hash);
  };
  former.each(`SELECT hash FROM events WHERE sequence = ${sequence}`, compare);
  former.each(`SELECT hash FROM checkpoints WHERE name = 'base' AND sequence = ${sequence}`, compare);
  return isKnown;
}
