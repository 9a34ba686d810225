/**
 * sessions.db, written by the plugin alone (DESIGN.md §7). Rows are written behind the hook's answer, never before it:
 * a full disk must not keep good credentials out.
 */
import type { SessionReader, SessionStore } from "@keyhole/core";
import { defaultEventSettings, type EventSettings, openEventLog } from "./event-log.ts";
import type { Log } from "./log.ts";
import { readMigrations } from "./migrations.ts";
import { prepareOperatorWrites } from "./operator-queries.ts";
import { openReader } from "./reader.ts";
import { createSessionBuffer } from "./session-buffer.ts";
import { createSessionReads, fromRow, prepareSessionReads, prepareSessionWrites, toMs, toRow } from "./session-queries.ts";
import { openWriter, type TimeCommit } from "./writer.ts";

/** Opens sessions.db as its one writer. Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`. */
export async function openSessionStore(options: {
  path: string;
  log: Log;
  events?: EventSettings;
  timeCommit?: TimeCommit;
}): Promise<SessionStore> {
  const { path, log, events = defaultEventSettings, timeCommit } = options;
  const writer = openWriter({
    path,
    log,
    ...(timeCommit === undefined ? {} : { timeCommit }),
    migrations: readMigrations("sessions"),
    prepare: (db) => ({
      ...prepareSessionReads(db),
      ...prepareSessionWrites(db),
      ...prepareOperatorWrites(db),
      journal: openEventLog(db, "sessions", events),
    }),
    journalOf: ({ journal }) => journal,
  });
  const buffer = createSessionBuffer((work) => writer.write(work));
  const stored = createSessionReads((_absent, work) => writer.read(work));
  return {
    ...stored,
    async findSession(label, generation) {
      const row = buffer.find(label, generation);
      return row === undefined ? await stored.findSession(label, generation) : fromRow(label, row);
    },
    async newestIssuedAt(label, kind) {
      const [at, waiting] = [await stored.newestIssuedAt(label, kind), buffer.newestIssuedAt(label, kind)];
      return waiting !== undefined && (at === undefined || at.getTime() < waiting * 1000) ? new Date(waiting * 1000) : at;
    },
    async lastSeen(label) {
      const [at, waiting] = [await stored.lastSeen(label), buffer.lastSeen(label)];
      return waiting !== undefined && (at === undefined || at.getTime() < waiting) ? new Date(waiting) : at;
    },
    // Asked at start, and when an edge starts: they may wait for what is being written.
    async recentlySeen(limit) {
      await buffer.flush();
      return await stored.recentlySeen(limit);
    },
    async highestGeneration(label) {
      await buffer.flush();
      return await stored.highestGeneration(label);
    },
    async sessionsOf(label, limit) {
      await buffer.flush();
      return await stored.sessionsOf(label, limit);
    },
    async unendedSessions() {
      await buffer.flush();
      return await stored.unendedSessions();
    },
    async watchedUntil() {
      await buffer.flush();
      return await stored.watchedUntil();
    },
    saveSession: async (record) => await buffer.save(toRow(record)),
    saveLastSeen: async (label, at) => await buffer.see(label, toMs(at)),
    saveWatched: async (at) => await buffer.watch(toMs(at)),
    saveEvents: async (entries) => await buffer.note(entries),
    async saveBlock({ subject, reason, createdAt, endsAt }, event) {
      const [from, to] = [toMs(createdAt), endsAt === undefined ? null : toMs(endsAt)];
      await writer.write(({ setBlock, journal }) => {
        setBlock.run(subject, reason, from, to);
        journal.note(event);
      });
    },
    removeBlock: (subject, event) =>
      writer.write(({ removeBlock, journal }) => {
        const isRemoved = removeBlock.run(subject).changes > 0;
        if (isRemoved) journal.note(event);
        return isRemoved;
      }),
    async saveOperatorRevocation({ label, notBefore, at }, event) {
      const [seconds, ms] = [Math.floor(toMs(notBefore) / 1000), toMs(at)];
      await writer.write(({ revoke, journal }) => {
        revoke.run(label, seconds, ms);
        journal.note(event);
      });
    },
    check: () => writer.check(),
    async [Symbol.asyncDispose]() {
      await buffer.flush();
      await writer[Symbol.asyncDispose]();
    },
  };
}

/** Reads sessions.db beside its writer. As long as the file has never been there, nothing is recorded. Never throws at open. */
export async function openSessionReader(options: { path: string }): Promise<SessionReader & AsyncDisposable> {
  const reader = openReader({ ...options, migrations: readMigrations("sessions"), oldestSchema: 2, prepare: prepareSessionReads });
  return {
    ...createSessionReads((absent, work) => reader.read(absent, work)),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
