/**
 * A read-only connection to a file that another process writes. Each read sees the newest committed state. Before the
 * file exists nothing is recorded; once it has been seen, "I cannot read it" is a fault and never "nothing is recorded":
 * a revoked key must not come in through a broken disk.
 *
 * A reader that started before its writer was updated reads the older schema, down to `oldestSchema`, and goes over to the
 * newer one when the writer has migrated the file.
 */
import { Fault } from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { openForReading, wasLogLost } from "./database-file.ts";
import { createFileGlance, identifyWithLog, isSameFile } from "./file-glance.ts";
import { type Migration, schemaVersion } from "./migrations.ts";
import { asUnavailable } from "./sqlite-fault.ts";

/** Reads one file. `Queries` is what `prepare` made of the connection: its prepared statements. */
export type Reader<Queries> = {
  /** The answer of `work`; `absent` as long as the file has never been there. */
  read<Answer>(absent: Answer, work: (queries: Queries) => Answer): Promise<Answer>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Opens a reader. Never throws: what is wrong is said at each read, and a reader outlives what is wrong. */
export function openReader<Queries>(options: {
  path: string;
  migrations: readonly Migration[];
  /** The number of the step that `prepare` cannot do without. */
  oldestSchema: number;
  prepare(db: Database): Queries;
  /** False: the connection is closed after each read. */
  isKept?: boolean;
}): Reader<Queries> {
  const { path, migrations, oldestSchema, prepare, isKept = true } = options;
  let live: { readonly db: Database; readonly queries: Queries; readonly files: string | undefined; readonly schema: number } | undefined;
  const file = createFileGlance(path, identifyWithLog);
  let wasSeen = false;
  let isClosed = false;

  function drop(): void {
    try {
      live?.db.close();
    } catch {
      // nothing is lost with a connection that only read
    }
    live = undefined;
  }

  function read<Answer>(absent: Answer, work: (queries: Queries) => Answer): Answer {
    if (isClosed) throw new Fault("STORE_UNAVAILABLE", `${path} is closed: this process is stopping.`);
    const files = file.glance();
    if (files === undefined) {
      if (!wasSeen) return absent;
      throw new Fault("STORE_UNAVAILABLE", `${path} was removed while in use. Put a backup in its place and restart its writer.`);
    }
    wasSeen = true;
    // A backup was put in its place, or its log was removed and there is another one. As long as there is none, the writer, if it
    // lives, still writes to the one that is open here.
    if (live !== undefined && live.files !== files && !(isSameFile(live.files, files) && wasLogLost(path))) drop();
    try {
      if (live !== undefined && live.schema < migrations.length && schemaVersion(live.db) !== live.schema) drop();
      if (live === undefined) {
        const db = openForReading(path, migrations, { oldest: oldestSchema });
        try {
          const schema = schemaVersion(db); // before `prepare`: what is migrated in between is noticed at the next read
          const queries = prepare(db);
          file.doubt(); // who reads first makes the index of the log, and the log
          live = { db, queries, files: file.glance(), schema };
        } catch (error) {
          db.close();
          throw error;
        }
      }
      const answer = work(live.queries);
      if (!isKept) drop();
      return answer;
    } catch (error) {
      drop();
      file.doubt();
      throw asUnavailable(path, "read", error);
    }
  }

  return {
    read: async (absent, work) => read(absent, work),
    async [Symbol.asyncDispose]() {
      isClosed = true;
      drop();
    },
  };
}
