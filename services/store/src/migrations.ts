/**
 * The schema of each file as numbered steps, `migrations/<file>/<number>-<what>.sql`. The applied ones, recorded in the
 * file itself, must be a prefix of those on disk: a file of another program, of another name or of a newer version is
 * refused, never repaired.
 */
import { chmodSync, closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { Fault } from "@keyhole/core";
import SQLite, { type Database } from "better-sqlite3";
import type { Log } from "./log.ts";
import { corruptFault } from "./sqlite-fault.ts";

/** One step of a schema. Its number is its place in the list, from 1. */
export type Migration = { readonly name: string; readonly sql: string };

/** The mode of every file of ours: the services share one group (DESIGN.md §7). */
export const fileMode = 0o660;

/** Reads the steps of one file's schema, in order. */
export function readMigrations(schema: "tokens" | "sessions"): readonly Migration[] {
  const folder = new URL(`../migrations/${schema}/`, import.meta.url);
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return names.map((name, index) => {
    if (!name.startsWith(`${String(index + 1).padStart(4, "0")}-`)) throw new Error(`migration ${name} is out of sequence`);
    return { name, sql: readFileSync(new URL(name, folder), "utf8") };
  });
}

/** The number of the newest step that the file has. */
export function schemaVersion(db: Database): number {
  return Number(db.pragma("user_version", { simple: true }));
}

/** Throws `STORE_NEWER` or `STORE_CORRUPT` unless what was applied to the file is a prefix of `known`. */
export function checkSchema(db: Database, path: string, known: readonly Migration[]): void {
  const version = schemaVersion(db);
  const recorded = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'").pluck();
  const applied = recorded.get() === undefined ? [] : db.prepare<[], string>("SELECT name FROM migrations ORDER BY number").pluck().all();
  const isForeign = applied.slice(0, known.length).some((name, index) => name !== known[index]?.name);
  if (version > known.length && !isForeign) {
    throw new Fault(
      "STORE_NEWER",
      `${path} has schema ${version}, and this version of Keyhole knows up to ${known.length}. ` +
        `Start the newer version again, or put back the copy that it made before it migrated (${path}.before-${known.length + 1}).`,
    );
  }
  if (version === 0 || applied.length !== version || isForeign) {
    throw corruptFault(path, `it is no file of this kind (schema ${version}, steps: ${applied.join(", ") || "none"})`);
  }
}

/**
 * Throws `STORE_CORRUPT` unless the file has the tables, indexes and triggers that its steps make, to the letter. Whoever can
 * change a file can leave a trigger in it, or a table that takes no row: what is written into it later is then undone in silence.
 */
export function requireOwnSchema(db: Database, path: string, known: readonly Migration[]): void {
  const own = new SQLite(":memory:");
  try {
    migrate(own, path, known.slice(0, schemaVersion(db)), { backup: false, log: silent });
    const [found, wanted] = [db, own].map(describeSchema);
    if (found !== wanted) throw corruptFault(path, "it has tables, indexes or triggers that are not Keyhole's");
  } finally {
    own.close();
  }
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

const describeSchema = (db: Database): string =>
  JSON.stringify(db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all());

/** Applies what is missing, each step in a transaction of its own, each after a copy of the file when `backup` says so. */
export function migrate(db: Database, path: string, known: readonly Migration[], options: { backup: boolean; log: Log }): void {
  if (schemaVersion(db) === 0) {
    db.exec("CREATE TABLE IF NOT EXISTS migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL) STRICT");
  }
  for (const [index, step] of known.entries()) {
    const number = index + 1;
    if (number <= schemaVersion(db)) continue;
    if (options.backup) backUp(db, `${path}.before-${number}`);
    db.transaction(() => {
      db.exec(step.sql);
      db.prepare("INSERT INTO migrations (number, name) VALUES (?, ?)").run(number, step.name);
      db.pragma(`user_version = ${number}`);
    }).immediate();
    options.log.info({ file: path, migration: step.name }, "store migrated");
  }
}

/** A copy that is whole or not there: written beside, made durable, then renamed. */
function backUp(db: Database, target: string): void {
  const unfinished = `${target}.unfinished`;
  rmSync(unfinished, { force: true });
  db.prepare("VACUUM INTO ?").run(unfinished);
  chmodSync(unfinished, fileMode);
  const file = openSync(unfinished, "r+");
  fsyncSync(file);
  closeSync(file);
  renameSync(unfinished, target);
}
