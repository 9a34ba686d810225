/**
 * How a database file comes to be and how it is opened. A new file is made under another name and renamed when it is
 * whole, so a reader finds either nothing or a finished schema, and an empty file is always a damaged one.
 *
 * Nothing here opens an existing database file by other means than SQLite: closing any descriptor of it would drop every
 * lock that this process holds on it (fcntl(2); https://sqlite.org/howtocorrupt.html §2.2).
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Fault } from "@keyhole/core";
import Database from "better-sqlite3";
import type { Log } from "./log.ts";
import { checkSchema, fileMode, type Migration, migrate, schemaVersion } from "./migrations.ts";
import { asUnavailable, corruptFault, sqliteFamily } from "./sqlite-fault.ts";

/** The longest that a locked file may hold up the event loop. */
const busyTimeoutMs = 100;

/** A write-ahead log that grew beyond this is cut back at the next checkpoint. */
const walBytes = 16 * 1024 * 1024;

/** The file's state, or undefined when there is none. Throws `STORE_UNAVAILABLE` when that cannot be told. */
export function statFile(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return undefined;
    throw new Fault("STORE_UNAVAILABLE", `${path} could not be looked at (${code}). Make its folder readable for this process.`, {
      cause: error,
    });
  }
}

/** Lies beside a file that is being written, and names it by device and inode: a log (`-wal`) belongs to it. */
const markOf = (path: string): string => `${path}.open`;

const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

/** Says that this file has a log, which must be there when it is opened again. Durable when it returns. Throws `STORE_UNAVAILABLE`. */
export function markOpen(path: string): void {
  const stats = statFile(path);
  if (stats === undefined || statFile(`${path}-wal`) === undefined || isMarked(path, stats)) return;
  try {
    writeMark(markOf(path), identityOf(stats));
    syncFolderOf(path);
  } catch (error) {
    throw withErrno(path, error);
  }
}

function isMarked(path: string, stats: Stats): boolean {
  try {
    return readFileSync(markOf(path), "utf8") === identityOf(stats);
  } catch {
    return false;
  }
}

function writeMark(mark: string, text: string): void {
  const fresh = `${mark}.new`;
  rmSync(fresh, { force: true });
  const file = openSync(fresh, "wx", fileMode);
  try {
    fchmodSync(file, fileMode);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, mark);
}

/** Everything that the log held is in the file: it may go. */
export function unmarkOpen(path: string): void {
  rmSync(markOf(path), { force: true });
}

/** True when the file was not closed in order and the log that it had then is gone: what was acknowledged last is missing. */
export function wasLogLost(path: string): boolean {
  const stats = statFile(path);
  // Of another file it says nothing: a backup was put in place.
  return stats !== undefined && statFile(`${path}-wal`) === undefined && isMarked(path, stats);
}

const lostLogFault = (path: string): Fault =>
  corruptFault(
    path,
    `it was not closed in order, and its log (${path}-wal), which held what was written last, has been removed. ` +
      `Put that back; or, if you are sure that nothing is missing, delete ${markOf(path)}`,
  );

/**
 * Opens the file of the one writer: makes it when there is none, checks it, brings its schema up to date.
 * Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`.
 */
export function prepareFile(path: string, known: readonly Migration[], log: Log): void {
  const isNew = statFile(path) === undefined;
  try {
    if (isNew) create(path, known, log);
    else checkAndMigrate(path, known, log);
  } catch (error) {
    const family = sqliteFamily(error);
    if (family === "SQLITE_CORRUPT" || family === "SQLITE_NOTADB")
      throw corruptFault(path, `SQLite says ${(error as Error).message}`, error);
    throw error instanceof Fault ? error : withErrno(path, asUnavailable(path, "opened", error));
  }
}

/** `relaxed` commits are not on the disk when they are answered: what the port promises is not kept. Only for measuring what it costs. */
export type Durability = "durable" | "relaxed";

/** Opens a finished file for writing, with the durability that the port promises. */
export function openForWriting(path: string, known: readonly Migration[], durability: Durability = "durable"): Database.Database {
  return opened(new Database(path, { fileMustExist: true, timeout: busyTimeoutMs }), (db) => {
    applyPragmas(db);
    if (durability === "relaxed") db.pragma("synchronous = NORMAL");
    checkSchema(db, path, known);
  });
}

/**
 * Opens a finished file for reading. Its schema must have the step `oldest`: a reader may be of a newer version than the
 * file's writer, which migrates it when it starts. A file that has lost its log is opened only for who `salvages` what there is:
 * it would be read as it was some time ago, and a new log would lie beside it.
 */
export function openForReading(
  path: string,
  known: readonly Migration[],
  { oldest = known.length, salvages = false }: { readonly oldest?: number; readonly salvages?: boolean } = {},
): Database.Database {
  if (!salvages && wasLogLost(path)) throw lostLogFault(path);
  return opened(new Database(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs }), (db) => {
    checkSchema(db, path, known);
    if (schemaVersion(db) >= oldest) return;
    throw new Fault("STORE_UNAVAILABLE", `${path} has an older schema until its writer has started and migrated it. Start the writer.`);
  });
}

function create(path: string, known: readonly Migration[], log: Log): void {
  if ((statFile(`${path}-wal`)?.size ?? 0) > 0) {
    throw corruptFault(path, `it is missing, and what was written last (${path}-wal) is still there`);
  }
  const unfinished = `${path}.new`;
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(unfinished + suffix, { force: true });
  const file = openSync(unfinished, "wx", fileMode);
  fchmodSync(file, fileMode); // past the umask; SQLite gives -wal and -shm the mode of the database
  closeSync(file);
  const db = new Database(unfinished, { fileMustExist: true, timeout: busyTimeoutMs });
  try {
    applyPragmas(db);
    migrate(db, path, known, { backup: false, log });
  } finally {
    db.close();
  }
  rmSync(`${path}-shm`, { force: true });
  renameSync(unfinished, path);
  syncFolderOf(path);
}

function syncFolderOf(path: string): void {
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}

function checkAndMigrate(path: string, known: readonly Migration[], log: Log): void {
  if (statFile(path)?.size === 0) throw corruptFault(path, "it is empty");
  if (wasLogLost(path)) throw lostLogFault(path);
  const db = new Database(path, { fileMustExist: true, timeout: busyTimeoutMs });
  try {
    const found = db.pragma("quick_check(1)", { simple: true });
    if (found !== "ok") throw corruptFault(path, `SQLite's quick_check says ${String(found)}`);
    checkSchema(db, path, known);
    allowGroup(path);
    applyPragmas(db);
    migrate(db, path, known, { backup: true, log });
  } finally {
    db.close();
  }
}

function applyPragmas(db: Database.Database): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("fullfsync = ON"); // macOS: fsync alone leaves the bytes in the drive's cache; elsewhere this does nothing
  db.pragma("checkpoint_fullfsync = ON");
  db.pragma("foreign_keys = ON");
  db.pragma(`journal_size_limit = ${walBytes}`);
}

/** Best effort: the file may belong to somebody else who already set it right. */
function allowGroup(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      chmodSync(path + suffix, fileMode);
    } catch {}
  }
}

function opened(db: Database.Database, check: (db: Database.Database) => void): Database.Database {
  try {
    check(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** An error of the file system (no space, no permission) is the store's fault too. */
function withErrno(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof Fault || code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new Fault("STORE_UNAVAILABLE", `${path} could not be made ready (${code}). Check its folder, its owner and free space.`, {
    cause: error,
  });
}
