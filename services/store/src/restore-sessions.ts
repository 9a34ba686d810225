/**
 * Makes the sessions.db that takes the place of the one in force, of a backup: no block, no revocation by an operator is
 * undone, and what a label's sessions rose to does not fall (invariants 2 and 6).
 */
import { type BlockSubject, type Label, parseLabel } from "@keyhole/core";
import Database from "better-sqlite3";
import { defaultEventSettings } from "./event-log.ts";
import { type Carried, carryTables, type TableRule } from "./restore-carry.ts";
import { carryEvents } from "./restore-events.ts";
import { type Former, openFormer } from "./restore-former.ts";
import { describeRestore, type RestoredStore, type RestoreOrder } from "./restore-tokens.ts";
import { openSessionStore } from "./session-store.ts";

/** What became of sessions.db. */
export type RestoredSessions = RestoredStore & {
  /**
   * In force again, though the former file did not have them. Never where that file goes on from the backup: there its blocks are
   * the truth. Empty when nobody can tell.
   */
  readonly returnedBlocks: readonly BlockSubject[];
};

const rules: readonly TableRule[] = [
  {
    table: "blocks",
    // The later end wins, and no end beats an end.
    put:
      "INSERT INTO blocks (subject, reason, created_at, ends_at) VALUES (@subject, @reason, @created_at, @ends_at) " +
      "ON CONFLICT DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at, ends_at = excluded.ends_at " +
      "WHERE ends_at IS NOT NULL AND (excluded.ends_at IS NULL OR excluded.ends_at > ends_at)",
  },
  {
    table: "operator_revocations",
    put:
      "INSERT INTO operator_revocations (label, not_before, at) VALUES (@label, @not_before, @at) ON CONFLICT DO UPDATE SET " +
      "not_before = max(not_before, excluded.not_before), at = max(at, excluded.at) WHERE excluded.not_before > not_before OR excluded.at > at",
  },
  {
    table: "sessions",
    put:
      "INSERT INTO sessions (label, generation, kind, issued_at, ends_at, admitted_at, connected_at, closed_at, end) " +
      "VALUES (@label, @generation, @kind, @issued_at, @ends_at, @admitted_at, @connected_at, @closed_at, @end) ON CONFLICT DO UPDATE SET " +
      "kind = iif(excluded.issued_at > issued_at, excluded.kind, kind), issued_at = max(issued_at, excluded.issued_at), " +
      "ends_at = max(ends_at, excluded.ends_at), connected_at = coalesce(connected_at, excluded.connected_at), " +
      "closed_at = coalesce(closed_at, excluded.closed_at), end = coalesce(end, excluded.end) " +
      "WHERE excluded.issued_at > issued_at OR excluded.ends_at > ends_at OR (closed_at IS NULL AND excluded.closed_at IS NOT NULL)",
  },
  {
    table: "newest_issued",
    put:
      "INSERT INTO newest_issued (label, kind, issued_at) VALUES (@label, @kind, @issued_at) " +
      "ON CONFLICT DO UPDATE SET issued_at = excluded.issued_at WHERE excluded.issued_at > issued_at",
  },
  {
    table: "last_seen",
    put: "INSERT INTO last_seen (label, at) VALUES (@label, @at) ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at > at",
  },
  {
    table: "watched",
    put: "INSERT INTO watched (id, at) VALUES (1, @at) ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at > at",
  },
];

/**
 * Makes it. `edgeBlocks`: what the edge's own list keeps out; it counts where not everything of the former file could be read.
 * Throws a fault, and leaves a file that is not to be used.
 */
export async function restoreSessions(order: RestoreOrder & { readonly edgeBlocks: readonly BlockSubject[] }): Promise<RestoredSessions> {
  const { path, formerPath, backup, now, signer, log, edgeBlocks } = order;
  const open = () => openSessionStore({ path, log, events: { ...defaultEventSettings, signer } });
  let ofBackup: readonly BlockSubject[];
  {
    // Begun or migrated.
    await using begun = await open();
    ofBackup = (await begun.blocks()).map(({ subject }) => subject);
  }
  using former = await openFormer({ path: formerPath, writer: "sessions", scratch: `${path}.former`, log });
  const carriedRows = carryTables({ path, former, rules });
  const events = carryEvents({ path, former });
  const isSuccessor = events !== undefined && former.state === "whole";
  if (isSuccessor) replaceBlocks(path, former);
  const rows: Carried = { ...carriedRows, events: events ?? 0 };
  await using store = await open();
  const had = new Set<string>();
  const isKnown = former.each<{ subject: string }>("SELECT subject FROM blocks", ({ subject }) => void had.add(subject));
  const isWhole = isKnown && former.state === "whole";
  const kept = new Set((await store.blocks()).map(({ subject }) => subject));
  const ofEdge = isWhole ? [] : edgeBlocks.filter((subject) => !kept.has(subject));
  for (const subject of ofEdge) {
    const reason = "restored from the edge's list";
    await store.saveBlock(
      { subject, reason, createdAt: now, endsAt: undefined },
      { at: now, event: "block.set", ...labelIn(subject), detail: { subject, reason, until: null } },
    );
  }
  const carried = { ...rows, ...(isWhole ? {} : { edge_blocks: ofEdge.length }) };
  await store.saveEvents([{ at: now, event: "store.restored", detail: describeRestore(backup, former, carried) }]);
  return {
    former: former.state,
    carried,
    returnedBlocks: isWhole ? ofBackup.filter((subject) => kept.has(subject) && !had.has(subject)) : [],
  };
}

/** What was lifted since, and an end that was brought forward, was ordered too: the former file's blocks are the truth, all of them. */
function replaceBlocks(path: string, former: Former): void {
  const db = new Database(path, { fileMustExist: true });
  try {
    const insert = db.prepare(
      "INSERT INTO blocks (subject, reason, created_at, ends_at) VALUES (@subject, @reason, @created_at, @ends_at)",
    );
    db.transaction(() => {
      db.exec("DELETE FROM blocks");
      former.each<Record<string, unknown>>("SELECT subject, reason, created_at, ends_at FROM blocks", (row) => void insert.run(row));
    }).immediate();
  } finally {
    db.close();
  }
}

function labelIn(subject: BlockSubject): { label?: Label } {
  const label = parseLabel(subject);
  return label === undefined ? {} : { label };
}
