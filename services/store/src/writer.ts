/**
 * The one connection that writes a file, and its group commit: what was asked for in one turn of the event loop is
 * written in one transaction and answered after COMMIT, so that hundreds of callers share one wait for the disk
 * (invariant 6: no answer before the record is durable). One piece of work that fails takes back its own writes and nobody
 * else's: the whole transaction is taken back then, and done again with a savepoint for each. Savepoints for nothing would
 * cost an order a fifth of its CPU in SQLite, which keeps a copy of every page that is changed within one.
 *
 * After an error of the file or the disk the connection is opened anew at the next use: service resumes without a restart.
 */
import { rmSync } from "node:fs";
import { Fault } from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { type Durability, markOpen, openForWriting, prepareFile, unmarkOpen } from "./database-file.ts";
import { createFileGlance, identifyFile, identifyWithLog } from "./file-glance.ts";
import type { Log } from "./log.ts";
import type { Migration } from "./migrations.ts";
import { asUnavailable, sqliteFamily } from "./sqlite-fault.ts";

/** More work than this waits for the next turn: one transaction must not hold up the event loop for long. */
const batchSize = 256;

/** More waiting work than this is refused at once: the disk cannot follow, and memory is not the place to queue. */
const queueLimit = 20_000;

/** Errors after which a connection still is what it was. After any other, a new one is opened. */
const harmless = new Set(["SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_CONSTRAINT"]);

type Job<Queries> = {
  readonly work: (queries: Queries) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
};
type Settled = { readonly value: unknown } | { readonly error: unknown };

/** What is written at the end of every transaction, from what its work noted. */
export type Journal = {
  /** Where it stands; `rewind` takes back what was noted since. */
  mark(): number;
  rewind(mark: number): void;
  /** Writes what was noted, in the open transaction. */
  write(): void;
  /** The transaction was committed, or all of it was taken back. */
  settle(isCommitted: boolean): void;
};

type Live<Queries> = {
  readonly db: Database;
  readonly queries: Queries;
  readonly journal: Journal | undefined;
  readonly run: (sql: "BEGIN IMMEDIATE" | "COMMIT" | "ROLLBACK") => void;
  /** Runs the work in a savepoint of the open transaction. */
  readonly inSavepoint: (work: (queries: Queries) => unknown) => unknown;
};

/** Reads and writes one file. `Queries` is what `prepare` made of the connection: its prepared statements. */
export type Writer<Queries> = {
  /** Reads the newest committed state. */
  read<Answer>(work: (queries: Queries) => Answer): Promise<Answer>;
  /**
   * Does the work in the next transaction; resolves when that is durable. It may be run twice, the first time for nothing,
   * when a neighbour in the transaction fails: what it does beside the file must bear that.
   */
  write<Answer>(work: (queries: Queries) => Answer): Promise<Answer>;
  /** Resolves when a row could be read and durably written. */
  check(): Promise<void>;
  /** Finishes what was asked for, then closes. */
  [Symbol.asyncDispose](): Promise<void>;
};

/** Capability: called when a transaction begins; what it returns, when that has been committed, or could not be. */
export type TimeCommit = () => (isDone: boolean) => void;

/** Opens the file as its one writer; makes or migrates it first. */
export function openWriter<Queries>(options: {
  path: string;
  migrations: readonly Migration[];
  log: Log;
  timeCommit?: TimeCommit;
  prepare(db: Database): Queries;
  /** The journal among what `prepare` made, where there is one. */
  journalOf?(queries: Queries): Journal;
  durability?: Durability;
}): Writer<Queries> {
  const { path, migrations, log, timeCommit, prepare, journalOf, durability = "durable" } = options;
  prepareFile(path, migrations, log);
  const file = createFileGlance(path, identifyFile);
  const identity = file.look();
  let live: Live<Queries> | undefined;
  /** With the log that the connection writes to, and the index by which readers find what is in it. */
  let identityWithLog: string | undefined;
  let queue: Job<Queries>[] = [];
  let isScheduled = false;
  let isClosed = false;
  let isFailing = false;
  let checking: Promise<void> | undefined;

  function open(): Live<Queries> {
    const db = openForWriting(path, migrations, durability);
    try {
      const statements = {
        "BEGIN IMMEDIATE": db.prepare("BEGIN IMMEDIATE"),
        COMMIT: db.prepare("COMMIT"),
        ROLLBACK: db.prepare("ROLLBACK"),
      };
      const queries = prepare(db);
      const inSavepoint = db.transaction((work: (queries: Queries) => unknown) => work(queries));
      return { db, queries, journal: journalOf?.(queries), run: (sql) => statements[sql].run(), inSavepoint };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  function connect(): Live<Queries> {
    const connection = open();
    try {
      connection.db.prepare("SELECT count(*) FROM migrations").get(); // whoever reads has a log
      markOpen(path);
      identityWithLog = identifyWithLog(path);
      return connection;
    } catch (error) {
      connection.db.close();
      throw error;
    }
  }

  /** Brings the whole log into the file. False when somebody is reading what lies before its end. */
  function emptyLog({ db }: Live<Queries>): boolean {
    const [result] = db.pragma("wal_checkpoint(TRUNCATE)") as { busy: number }[];
    return result?.busy === 0;
  }

  function drop(): void {
    try {
      live?.db.close();
      if (live !== undefined && identifyFile(`${path}-wal`) === undefined) unmarkOpen(path);
    } catch (error) {
      log.warn({ file: path, err: error }, "store connection did not close cleanly");
    }
    live = undefined;
  }

  /** The log was removed while it was in use. We still have it open: nothing is lost if all of it goes into the file now. */
  function saveRemovedLog(connection: Live<Queries>): void {
    if (!emptyLog(connection)) throw new Fault("STORE_UNAVAILABLE", `${path}-wal was removed while in use. Service resumes by itself.`);
    log.warn({ file: path }, "the log (-wal, -shm) of the store was removed while in use; nothing is lost. Never delete it");
    drop();
    // An index that is there is of a log that has just been emptied, or of one that is gone: who reads made it of what lay there, and
    // SQLite would believe it. Without it a new one is made of the log as it is, and who reads goes over to that.
    rmSync(`${path}-shm`, { force: true });
  }

  function use<Answer>(tried: "read" | "written", work: (connection: Live<Queries>) => Answer): Answer {
    if (isClosed) throw new Fault("STORE_UNAVAILABLE", `${path} is closed: this process is stopping.`);
    if ((tried === "written" ? file.look() : file.glance()) !== identity) {
      file.doubt();
      const remedy = "Stop the service, put the right file in place and start again.";
      throw new Fault("STORE_UNAVAILABLE", `${path} was removed or replaced while in use. ${remedy}`);
    }
    try {
      if (tried === "written" && live !== undefined && identifyWithLog(path) !== identityWithLog) saveRemovedLog(live);
      live ??= connect();
      return work(live);
    } catch (error) {
      const family = sqliteFamily(error);
      if (family !== undefined && !harmless.has(family)) drop();
      file.doubt();
      throw asUnavailable(path, tried, error);
    }
  }

  function runBatch(): void {
    const batch = queue.splice(0, batchSize);
    const end = timeCommit?.();
    let settled: readonly Settled[];
    try {
      settled = use("written", (connection) => commit(connection, batch));
      end?.(true);
    } catch (error) {
      end?.(false);
      // Who waits behind a batch that could not be written would wait for the same file in vain.
      const everybody = [...batch, ...queue];
      queue = [];
      for (const job of everybody) job.reject(error);
      if (!isFailing) log.error({ file: path, refused: everybody.length, err: error }, "store cannot be written");
      isFailing = true;
      return;
    }
    if (isFailing) log.info({ file: path }, "store can be written again");
    isFailing = false;
    batch.forEach((job, index) => {
      const outcome = settled[index];
      if (outcome !== undefined && "value" in outcome) job.resolve(outcome.value as never);
      else job.reject(asUnavailable(path, "written", outcome?.error));
    });
  }

  function runScheduled(): void {
    isScheduled = false;
    if (queue.length > 0) runBatch();
    if (queue.length > 0) schedule();
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(runScheduled);
  }

  function commit(connection: Live<Queries>, batch: readonly Job<Queries>[]): readonly Settled[] {
    try {
      return transact(connection, () => batch.map(({ work }) => ({ value: work(connection.queries) })));
    } catch (error) {
      if (concernsAll(error) || live === undefined) throw error;
      return transact(connection, () => batch.map((job) => attempt(connection, job)));
    }
  }

  function transact(connection: Live<Queries>, run: () => readonly Settled[]): readonly Settled[] {
    const { journal } = connection;
    connection.run("BEGIN IMMEDIATE");
    try {
      const settled = run();
      journal?.write();
      connection.run("COMMIT");
      journal?.settle(true);
      return settled;
    } catch (error) {
      journal?.settle(false);
      try {
        if (connection.db.inTransaction) connection.run("ROLLBACK");
      } catch {
        drop(); // closing rolls back
      }
      throw error;
    }
  }

  const writer: Writer<Queries> = {
    read: async (work) => use("read", ({ queries }) => work(queries)),
    write: (work) =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(new Fault("STORE_UNAVAILABLE", `${path} is closed: this process is stopping.`));
        if (queue.length >= queueLimit) {
          return reject(
            new Fault("STORE_UNAVAILABLE", `${path} cannot be written as fast as asked for. Look at the load and at its disk.`),
          );
        }
        queue.push({ work, resolve, reject });
        schedule();
      }),
    check() {
      checking ??= (async () => {
        await writer.read(() => live?.db.prepare("SELECT count FROM probe").get());
        await writer.write(() => live?.db.prepare("INSERT INTO probe VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1").run());
      })().finally(() => {
        checking = undefined;
      });
      return checking;
    },
    async [Symbol.asyncDispose]() {
      while (queue.length > 0) runBatch();
      isClosed = true;
      try {
        if (live !== undefined && identifyFile(path) === identity && emptyLog(live)) unmarkOpen(path);
      } catch (error) {
        log.warn({ file: path, err: error }, "store was closed without a checkpoint; nothing is lost");
      }
      drop();
    },
  };
  use("read", () => undefined); // statements are prepared now: a mistake in one is found at start
  return writer;
}

/** Runs one piece of work in its own savepoint. Throws what concerns the whole transaction; keeps what concerns this work. */
function attempt<Queries>(connection: Live<Queries>, job: Job<Queries>): Settled {
  const { journal } = connection;
  const mark = journal?.mark() ?? 0;
  try {
    return { value: connection.inSavepoint(job.work) };
  } catch (error) {
    if (concernsAll(error) || !connection.db.inTransaction) throw error;
    journal?.rewind(mark);
    return { error };
  }
}

/** True for what the file or its disk says: no other work of the transaction would fare better. */
function concernsAll(error: unknown): boolean {
  const family = sqliteFamily(error);
  return family !== undefined && family !== "SQLITE_CONSTRAINT";
}
