/**
 * A copy of a file as it is at one moment, made beside its writer, which is held up by nothing: the copy is read in one
 * transaction, a piece at a time. And the look at a copy that tells whether it is whole.
 */
import { chmodSync, closeSync, fsyncSync, openSync } from "node:fs";
import type { EventWriter } from "@keyhole/core";
import Database from "better-sqlite3";
import { openForReading } from "./database-file.ts";
import { checkSchema, readMigrations, requireOwnSchema, schemaVersion } from "./migrations.ts";
import { asUnavailable, corruptFault, sqliteFamily } from "./sqlite-fault.ts";

/** What is known of a file that is whole. */
export type StoreFacts = {
  /** The number of its newest migration. */
  readonly schema: number;
  /** Where its chain of events ends; undefined when nothing was ever remembered. The hash in hexadecimal digits. */
  readonly head: { readonly sequence: number; readonly hash: string } | undefined;
};

/** How far a copy has come, in pages of the file. */
export type CopyProgress = (done: number, total: number) => void;

/** Copied at once; between two pieces the event loop has its turn. */
const pagesPerStep = 2048;

/**
 * Copies the file at this moment to `to`, which must not be there: one file, without a log beside it, mode 0600, on the disk
 * when this resolves. It is not looked at: `inspectStore` does that. Throws `STORE_UNAVAILABLE`, `STORE_NEWER` or `STORE_CORRUPT`.
 */
export async function copyStore(options: {
  readonly path: string;
  readonly writer: EventWriter;
  readonly to: string;
  /** Also of a file that has lost its log. */
  readonly salvages?: boolean;
  readonly onProgress?: CopyProgress;
}): Promise<void> {
  const { path, writer, to, salvages = false, onProgress } = options;
  try {
    const db = openForReading(path, readMigrations(writer), { oldest: 1, salvages });
    try {
      // In a read transaction of its own the source stands still for SQLite, however much is written to it meanwhile.
      db.exec("BEGIN");
      schemaVersion(db);
      db.prepare("SELECT count(*) FROM migrations").get();
      await db.backup(to, {
        progress({ totalPages, remainingPages }) {
          onProgress?.(totalPages - remainingPages, totalPages);
          return pagesPerStep;
        },
      });
    } finally {
      db.close();
    }
    leaveWriteAheadLog(to);
    makeDurable(to);
  } catch (error) {
    throw asFault(path, error);
  }
}

/**
 * Goes over the whole of a file that nobody writes. Throws `STORE_CORRUPT` when it is damaged, another program's or has more in its
 * schema than ours, `STORE_NEWER` when it is of a later version, `STORE_UNAVAILABLE` when it cannot be read.
 */
export function inspectStore({ path, writer }: { readonly path: string; readonly writer: EventWriter }): StoreFacts {
  try {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    try {
      const found = db.pragma("integrity_check(1)", { simple: true });
      if (found !== "ok") throw corruptFault(path, `SQLite's integrity_check says ${String(found)}`);
      const known = readMigrations(writer);
      checkSchema(db, path, known);
      requireOwnSchema(db, path, known);
      return { schema: schemaVersion(db), head: readHead(db) };
    } finally {
      db.close();
    }
  } catch (error) {
    throw asFault(path, error);
  }
}

/** Where the chain of events of an open file ends. A file from before there was one has none. */
export function readHead(db: Database.Database): StoreFacts["head"] {
  const hasEvents = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'checkpoints'").get() !== undefined;
  if (!hasEvents) return undefined;
  const row = db.prepare<[], { sequence: number; hash: Buffer }>("SELECT sequence, hash FROM checkpoints WHERE name = 'head'").get();
  return row && { sequence: row.sequence, hash: row.hash.toString("hex") };
}

/** A copy says of itself that it has a log beside it, as its source had. Without one it is a file like any other. */
function leaveWriteAheadLog(path: string): void {
  const db = new Database(path, { fileMustExist: true });
  try {
    db.pragma("journal_mode = DELETE");
  } finally {
    db.close();
  }
}

function makeDurable(path: string): void {
  chmodSync(path, 0o600);
  const file = openSync(path, "r+");
  fsyncSync(file);
  closeSync(file);
}

function asFault(path: string, error: unknown): unknown {
  const family = sqliteFamily(error);
  if (family === "SQLITE_CORRUPT" || family === "SQLITE_NOTADB")
    return corruptFault(path, `SQLite says ${(error as Error).message}`, error);
  return family === undefined ? error : asUnavailable(path, "read", error);
}
