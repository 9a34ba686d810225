/** Carries rows of the former file over into the restored one, table by table, each row by the rule of its table. */
import Database from "better-sqlite3";
import type { Former } from "./restore-former.ts";
import { sqliteFamily } from "./sqlite-fault.ts";

/** How the rows of a table are carried over. `put` takes a row by its columns' names and changes nothing where nothing is missing. */
export type TableRule = {
  readonly table: string;
  readonly put: string;
  /** The column by which the rows are read, where that matters. */
  readonly order?: string;
  /** Run before the rows, with `@last`: the last of `order`. */
  readonly before?: string;
};

/** How many rows of each table the backup did not have. */
export type Carried = Readonly<Record<string, number>>;

/** Carries everything over that can be read, in one transaction. */
export function carryTables({
  path,
  former,
  rules,
}: {
  readonly path: string;
  readonly former: Former;
  readonly rules: readonly TableRule[];
}): Carried {
  const db = new Database(path, { fileMustExist: true });
  try {
    return db.transaction(() => Object.fromEntries(rules.map((rule) => [rule.table, carry(db, former, rule)]))).immediate();
  } finally {
    db.close();
  }
}

function carry(db: Database.Database, former: Former, { table, put, order, before }: TableRule): number {
  if (before !== undefined && order !== undefined) {
    former.each<{ last: number | null }>(`SELECT max(${order}) AS last FROM ${table}`, ({ last }) => {
      if (last !== null) db.prepare(before).run({ last });
    });
  }
  const statement = db.prepare(put);
  let count = 0;
  former.each<Record<string, unknown>>(`SELECT * FROM ${table}${order === undefined ? "" : ` ORDER BY ${order}`}`, (row) => {
    try {
      count += statement.run(row).changes;
    } catch (error) {
      // A row that breaks the rules of its table was written by a broken disk.
      if (sqliteFamily(error) !== "SQLITE_CONSTRAINT") throw error;
    }
  });
  return count;
}
