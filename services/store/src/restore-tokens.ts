/**
 * Makes the tokens.db that takes the place of the one in force, of a backup. What was promised since the backup holds
 * (invariant 6): no revocation, no spent proof is undone, and no token that was issued before counts.
 */
import type { CheckpointSigner, EventDetail } from "@keyhole/core";
import Database from "better-sqlite3";
import type { StoreFacts } from "./backup.ts";
import { defaultEventSettings } from "./event-log.ts";
import type { Log } from "./log.ts";
import { type Carried, carryTables, type TableRule } from "./restore-carry.ts";
import { carryEvents } from "./restore-events.ts";
import { type FormerState, openFormer } from "./restore-former.ts";
import { openTokenStore } from "./token-store.ts";

/** What a file is restored with. */
export type RestoreOrder = {
  /** The copy of the backup. It becomes the file; one that is not there is begun anew. Nobody else may use it. */
  readonly path: string;
  /** The file in force, in whatever state; it is only read. */
  readonly formerPath: string;
  /** When the backup was made, and where its chain of events ended. */
  readonly backup: { readonly takenAt: Date; readonly head: StoreFacts["head"] };
  /** The moment of the restore. Nobody writes the file in force any more. */
  readonly now: Date;
  /** Signs where the chains of events end; without one nobody does. */
  readonly signer: CheckpointSigner | undefined;
  readonly log: Log;
};

/** What became of a file. */
export type RestoredStore = {
  readonly former: FormerState;
  /** Rows of the former file that the backup did not have, by table. */
  readonly carried: Carried;
};

/** And of tokens.db. */
export type RestoredTokens = RestoredStore & {
  /** What was issued before counts no more. */
  readonly notBefore: Date;
  /** What was signed until then buys nothing. */
  readonly proofsUntil: Date;
};

/** Tokens are issued at most 2 s ahead. */
const aheadSeconds = 3;

const raise = (table: string, key: string, value: string): string =>
  `INSERT INTO ${table} (${key}, ${value}) VALUES (@${key}, @${value}) ON CONFLICT DO UPDATE SET ${value} = excluded.${value} WHERE excluded.${value} > ${value}`;

/** Only rises: whichever of the two files says more is right. `repeats` stay behind: all that they could repeat is revoked. */
const rules: readonly TableRule[] = [
  { table: "not_before", put: raise("not_before", "label", "at") },
  { table: "proofs_revoked", put: raise("proofs_revoked", "label", "until") },
  { table: "spent_proofs", put: raise("spent_proofs", "proof_key", "ends_at") },
  {
    table: "revocations",
    order: "sequence",
    // A sequence is never given twice, whichever file gave it.
    before: "UPDATE sqlite_sequence SET seq = max(seq, @last) WHERE name = 'revocations'",
    put:
      "INSERT OR REPLACE INTO revocations (label, not_before) SELECT @label, @not_before " +
      "WHERE NOT EXISTS (SELECT 1 FROM revocations WHERE label = @label AND not_before >= @not_before)",
  },
  {
    table: "tokens",
    put: "INSERT OR IGNORE INTO tokens (label, kind, issued_at, expires_at) VALUES (@label, @kind, @issued_at, @expires_at)",
  },
  {
    table: "floor",
    put:
      "INSERT INTO floor (id, not_before, proofs_until) VALUES (1, @not_before, @proofs_until) ON CONFLICT DO UPDATE SET " +
      "not_before = max(not_before, excluded.not_before), proofs_until = max(proofs_until, excluded.proofs_until)",
  },
];

/**
 * Makes it. `windowSeconds`: how far a proof may be dated ahead; where not everything of the former file could be read, one
 * may have been spent in what is missing. Throws a fault, and leaves a file that is not to be used.
 */
export async function restoreTokens(order: RestoreOrder & { readonly windowSeconds: number }): Promise<RestoredTokens> {
  const { path, formerPath, backup, now, signer, log, windowSeconds } = order;
  const events = { ...defaultEventSettings, signer };
  {
    // Begun or migrated.
    await using _file = await openTokenStore({ path, log, events });
  }
  using former = await openFormer({ path: formerPath, writer: "tokens", scratch: `${path}.former`, log });
  const carried = { ...carryTables({ path, former, rules }), events: carryEvents({ path, former }) ?? 0 };
  const seconds = Math.floor(now.getTime() / 1000);
  const floor = setFloor(path, {
    notBefore: seconds + aheadSeconds,
    proofsUntil: former.state === "whole" ? seconds : seconds + windowSeconds,
  });
  const detail = describeRestore(backup, former, carried, floor);
  {
    await using store = await openTokenStore({ path, log, events });
    await store.saveEvents([{ at: now, event: "store.restored", detail }]);
  }
  return {
    former: former.state,
    carried,
    notBefore: new Date(floor.notBefore * 1000),
    proofsUntil: new Date(floor.proofsUntil * 1000),
  };
}

type Floor = { readonly notBefore: number; readonly proofsUntil: number };

/** Sets the floor, and revokes the tokens that lie ahead of it: somebody's clock was. Returns what is in force. */
function setFloor(path: string, { notBefore, proofsUntil }: Floor): Floor {
  const db = new Database(path, { fileMustExist: true });
  try {
    return db
      .transaction(() => {
        db.prepare(rules.find(({ table }) => table === "floor")?.put ?? "").run({ not_before: notBefore, proofs_until: proofsUntil });
        const row = db.prepare<[], { not_before: number; proofs_until: number }>("SELECT * FROM floor").get();
        const inForce = { notBefore: row?.not_before ?? notBefore, proofsUntil: row?.proofs_until ?? proofsUntil };
        db.prepare(
          "INSERT INTO not_before (label, at) SELECT label, max(issued_at) + 1 FROM tokens WHERE issued_at >= ? GROUP BY label " +
            "ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        ).run(inForce.notBefore);
        return inForce;
      })
      .immediate();
  } finally {
    db.close();
  }
}

/** The event of a restore: what the chain lost behind the backup's end, and what could be kept. */
export function describeRestore(
  backup: RestoreOrder["backup"],
  former: { readonly state: FormerState; readonly head: StoreFacts["head"] },
  carried: Carried,
  more: EventDetail = {},
): EventDetail {
  const rows = Object.entries(carried).map(([table, count]) => [`carried.${table}`, count] as const);
  return {
    backupTakenAt: backup.takenAt.toISOString(),
    backupSequence: backup.head?.sequence ?? 0,
    backupHash: backup.head?.hash ?? null,
    former: former.state,
    formerSequence: former.head?.sequence ?? null,
    formerHash: former.head?.hash ?? null,
    ...more,
    ...Object.fromEntries(rows),
  };
}
