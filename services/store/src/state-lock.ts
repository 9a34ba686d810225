/**
 * One process a state directory. The lock is an EXCLUSIVE transaction on `<dir>/lock.db`: the kernel holds it for this
 * process, and frees it however the process ends, so nothing stale is ever left behind. `<dir>/lock.pid` only names the
 * holder for a person to read. Children do not inherit it (SQLite opens with O_CLOEXEC, and fcntl locks stay with the process).
 */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import Database from "better-sqlite3";
import { fileMode } from "./migrations.ts";
import { sqliteCode, sqliteFamily } from "./sqlite-fault.ts";

/** How often a lock that somebody has is tried, in ms. */
const retryMs = 25;

/**
 * Takes the lock of a state directory, or throws `STATE_LOCKED` naming who holds it, or `STATE_UNWRITABLE`. The directory
 * must exist. `patienceMs`: how long to wait for a holder that only needs it for a moment; without it, not at all.
 */
export async function openStateLock(options: { dir: string; pid: number; patienceMs?: number }): Promise<AsyncDisposable> {
  const { dir, pid, patienceMs = 0 } = options;
  const pidPath = join(dir, "lock.pid");
  const db = await awaitLock(dir, pidPath, Math.ceil(patienceMs / retryMs));
  try {
    writeFileSync(pidPath, `${pid}\n`, { mode: fileMode });
    allowGroup(join(dir, "lock.db"));
  } catch (error) {
    db.close();
    throw unwritable(dir, (error as NodeJS.ErrnoException).code, error);
  }
  return {
    async [Symbol.asyncDispose]() {
      if (!db.open) return;
      rmSync(pidPath, { force: true }); // first: afterwards it may already be the next holder's
      db.close();
    },
  };
}

/** Another user of the group may have made it, and only that one can change its mode: then it was set right. */
function allowGroup(path: string): void {
  if ((statSync(path).mode & 0o777) !== fileMode) chmodSync(path, fileMode);
}

async function awaitLock(dir: string, pidPath: string, retries: number): Promise<Database.Database> {
  for (let left = retries; ; left -= 1) {
    try {
      return takeLock(dir, pidPath);
    } catch (fault) {
      if (left <= 0 || !(fault instanceof Fault) || fault.code !== "STATE_LOCKED") throw fault;
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

function takeLock(dir: string, pidPath: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(join(dir, "lock.db"), { timeout: 0 });
    db.exec("BEGIN EXCLUSIVE");
    return db;
  } catch (error) {
    db?.close();
    if (sqliteFamily(error) === "SQLITE_BUSY") throw lockedFault(dir, pidPath, error);
    throw unwritable(dir, sqliteCode(error) ?? (error instanceof Error ? error.message : String(error)), error);
  }
}

function lockedFault(dir: string, pidPath: string, cause: unknown): Fault {
  const holder = readHolder(pidPath);
  const who = holder === undefined ? "another process" : `process ${holder}`;
  return new Fault("STATE_LOCKED", `${dir} is in use by ${who}. Stop that Keyhole, or give this one another stateDir.`, { cause });
}

function readHolder(pidPath: string): string | undefined {
  try {
    return /^[0-9]{1,10}$/.exec(readFileSync(pidPath, "utf8").trim())?.[0];
  } catch {
    return undefined;
  }
}

function unwritable(dir: string, found: string | undefined, cause: unknown): Fault {
  return new Fault(
    "STATE_UNWRITABLE",
    `${dir} cannot be used for state (${found}). It belongs to another user, or may not be written: run this as its user, or use another stateDir.`,
    {
      cause,
    },
  );
}
