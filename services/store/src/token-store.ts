/**
 * tokens.db, written by the token service alone (DESIGN.md §7). Every answer leaves after the commit (invariant 6).
 */
import type { TokenReader, TokenStore } from "@keyhole/core";
import type { Durability } from "./database-file.ts";
import { defaultEventSettings, type EventSettings, openEventLog } from "./event-log.ts";
import type { Log } from "./log.ts";
import { readMigrations } from "./migrations.ts";
import { openReader } from "./reader.ts";
import { createProofsPast, createSweep, decideOrder, decideRevocation, readOrder, readRevocation } from "./token-orders.ts";
import { createTokenReads, prepareTokenReads, prepareTokenWrites } from "./token-queries.ts";
import { openWriter, type TimeCommit } from "./writer.ts";

/**
 * Opens tokens.db as its one writer. Throws `STORE_CORRUPT`, `STORE_NEWER` or `STORE_UNAVAILABLE`. `durability` is for the bench:
 * nothing that serves may name it.
 */
export async function openTokenStore(options: {
  path: string;
  log: Log;
  events?: EventSettings;
  timeCommit?: TimeCommit;
  durability?: Durability;
}): Promise<TokenStore & TokenReader> {
  const { path, log, events = defaultEventSettings, timeCommit, durability = "durable" } = options;
  const writer = openWriter({
    path,
    log,
    ...(timeCommit === undefined ? {} : { timeCommit }),
    durability,
    migrations: readMigrations("tokens"),
    prepare: (db) => ({
      ...prepareTokenReads(db),
      ...prepareTokenWrites(db),
      sweep: createSweep(),
      proofsPast: createProofsPast(),
      journal: openEventLog(db, "tokens", events),
    }),
    journalOf: ({ journal }) => journal,
  });
  return {
    ...createTokenReads((work) => writer.read(work)),
    async orderToken(order) {
      const wanted = readOrder(order);
      return writer.write((queries) => decideOrder(queries, wanted));
    },
    async revoke(order) {
      const wanted = readRevocation(order);
      return writer.write((queries) => decideRevocation(queries, wanted));
    },
    saveEvents: (entries) =>
      writer.write(({ journal }) => {
        for (const entry of entries) journal.note(entry);
      }),
    check: () => writer.check(),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** Reads tokens.db beside its writer. As long as the file has never been there, nothing is recorded. Never throws at open. */
export async function openTokenReader(options: { path: string }): Promise<TokenReader & AsyncDisposable> {
  const reader = openReader({ ...options, migrations: readMigrations("tokens"), oldestSchema: 1, prepare: prepareTokenReads });
  return {
    ...createTokenReads((work) => reader.read(undefined, work)),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
