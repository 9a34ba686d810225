/**
 * Reads what the file that is in force remembers, for the file that takes its place. Whatever is wrong with it: a table that
 * cannot be read is told of, and the others are read all the same.
 */
import { rmSync } from "node:fs";
import type { EventWriter } from "@keyhole/core";
import Database from "better-sqlite3";
import { copyStore, readHead, type StoreFacts } from "./backup.ts";
import { statFile, wasLogLost } from "./database-file.ts";
import type { Log } from "./log.ts";
import { checkSchema, migrate, readMigrations } from "./migrations.ts";
import { sqliteCode } from "./sqlite-fault.ts";

/**
 * How much of the former file could be read. `whole`: all of it. `damaged`: something of it is missing. `lost`: nothing
 * could be read, or there is no file.
 */
export type FormerState = "whole" | "damaged" | "lost";

/** An open copy of the former file, in today's schema. */
export type Former = Disposable & {
  readonly state: FormerState;
  readonly head: StoreFacts["head"];
  /** Hands each row to `take`, in the order of `sql`. Returns false when not all of them could be read. */
  each<Row>(sql: string, take: (row: Row) => void): boolean;
};

/** Opens a copy of it at `scratch`; the file itself is only read. Never throws for what is wrong with it. */
export async function openFormer(options: {
  readonly path: string;
  readonly writer: EventWriter;
  readonly scratch: string;
  readonly log: Log;
}): Promise<Former> {
  const { path, writer, scratch, log } = options;
  let db: Database.Database | undefined;
  try {
    if (statFile(path) === undefined) return nothing;
    const hadLog = !wasLogLost(path);
    for (const suffix of ["", "-journal", "-wal", "-shm"]) rmSync(scratch + suffix, { force: true });
    await copyStore({ path, writer, to: scratch, salvages: true });
    db = new Database(scratch, { fileMustExist: true });
    const isSound = db.pragma("integrity_check(1)", { simple: true }) === "ok";
    const known = readMigrations(writer);
    checkSchema(db, path, known);
    migrate(db, scratch, known, { backup: false, log });
    return readerOf(db, isSound && hadLog, log);
  } catch (error) {
    db?.close();
    log.warn({ file: path, err: error }, "the file in force cannot be read");
    return nothing;
  }
}

const nothing: Former = { state: "lost", head: undefined, each: () => false, [Symbol.dispose]: () => {} };

function readerOf(db: Database.Database, isWhole: boolean, log: Log): Former {
  let state: FormerState = isWhole ? "whole" : "damaged";
  let head: StoreFacts["head"];
  try {
    head = readHead(db);
  } catch {
    state = "damaged";
  }
  return {
    get state() {
      return state;
    },
    head,
    each<Row>(sql: string, take: (row: Row) => void) {
      try {
        for (const row of db.prepare<[], Row>(sql).iterate()) take(row);
        return true;
      } catch (error) {
        if (sqliteCode(error) === undefined) throw error;
        state = "damaged";
        log.warn({ err: error }, "a table of the file in force cannot be read to its end");
        return false;
      }
    },
    [Symbol.dispose]: () => db.close(),
  };
}
