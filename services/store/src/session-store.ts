/**
 * sessions.db, written by the plugin alone (DESIGN.md §7). Rows are written behind the hook's answer, never before it:
 * a full disk must not keep good credentials out.
 */
import type { SessionReader, SessionStore } from "@keyhole/core";
import type { Log } from "./log.ts";
import { readMigrations } from "./migrations.ts";
import { openReader } from "./reader.ts";
import { createSessionReads, prepareSessionReads, prepareSessionWrites, saveRow, toMs, toRow } from "./session-queries.ts";
import { openWriter } from "./writer.ts";

/** Opens sessions.db as its one writer. Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`. */
export async function openSessionStore(options: { path: string; log: Log }): Promise<SessionStore> {
  const writer = openWriter({
    ...options,
    migrations: readMigrations("sessions"),
    prepare: (db) => ({ ...prepareSessionReads(db), ...prepareSessionWrites(db) }),
  });
  return {
    ...createSessionReads((_absent, work) => writer.read(work)),
    async saveSession(record) {
      const row = toRow(record);
      await writer.write((queries) => saveRow(queries, row));
    },
    async saveLastSeen(label, at) {
      const ms = toMs(at);
      await writer.write(({ see }) => see.run(label, ms));
    },
    check: () => writer.check(),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** Reads sessions.db beside its writer. As long as the file has never been there, nothing is recorded. Never throws at open. */
export async function openSessionReader(options: { path: string }): Promise<SessionReader & AsyncDisposable> {
  const reader = openReader({ ...options, migrations: readMigrations("sessions"), prepare: prepareSessionReads });
  return {
    ...createSessionReads((absent, work) => reader.read(absent, work)),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
