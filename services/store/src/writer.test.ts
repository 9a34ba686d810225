import { renameSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { faultOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openForReading } from "./database-file.ts";
import { openWriter } from "./writer.ts";

const migrations = [
  {
    name: "0001-rows.sql",
    sql: "CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT; CREATE TABLE probe (id INTEGER PRIMARY KEY, count INTEGER) STRICT;",
  },
];

function openRows(path: string) {
  const connections: Database.Database[] = [];
  const writer = openWriter({
    path,
    migrations,
    log: silentLog,
    prepare(db) {
      connections.push(db);
      return {
        insert: db.prepare<[number, string | null]>("INSERT INTO rows VALUES (?, ?)"),
        all: db.prepare("SELECT id FROM rows").pluck(),
      };
    },
  });
  return {
    writer,
    connections,
    insert: (id: number, text: string | null = "x") => writer.write((queries) => queries.insert.run(id, text)),
  };
}

test("6: what is asked for in one turn is one transaction, answered after it is committed", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("rows.db");
  const { writer, insert } = openRows(path);
  await using _ = writer;
  const other = openForReading(path, migrations);
  const count = other.prepare("SELECT count(*) FROM rows").pluck();
  const seen: unknown[] = [];
  await Promise.all([1, 2, 3].map((id) => insert(id).then(() => seen.push(count.get()))));
  expect(seen).toEqual([3, 3, 3]);
  other.close();
});

test("work that fails takes back its own writes and leaves its neighbours'", async () => {
  using folder = openTemporaryFolder();
  const { writer, insert } = openRows(folder.file("rows.db"));
  await using _ = writer;
  const settled = await Promise.allSettled([
    insert(1),
    writer.write((queries) => {
      queries.insert.run(2, "taken back");
      queries.insert.run(2, "twice");
    }),
    writer.write((queries) => {
      queries.insert.run(3, "taken back");
      throw new Error("a mistake of ours");
    }),
    insert(4),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
  expect(await writer.read(({ all }) => all.all())).toEqual([1, 4]);
});

test("work beyond one transaction's share is done in the next ones", async () => {
  using folder = openTemporaryFolder();
  const { writer, insert } = openRows(folder.file("rows.db"));
  await using _ = writer;
  await Promise.all(Array.from({ length: 1000 }, (_unused, id) => insert(id)));
  expect(await writer.read(({ all }) => all.all().length)).toBe(1000);
});

test("a queue that the disk cannot follow is refused, not kept in memory", async () => {
  using folder = openTemporaryFolder();
  const { writer, insert } = openRows(folder.file("rows.db"));
  await using _ = writer;
  const settled = await Promise.allSettled(Array.from({ length: 20_001 }, (_unused, id) => insert(id)));
  expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1);
});

test("a locked file is a fault, soon, and is written again when the lock is gone", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("rows.db");
  const { writer, insert } = openRows(path);
  await using _ = writer;
  const other = new Database(path);
  other.exec("BEGIN EXCLUSIVE");
  const faults = await Promise.all([faultOf(insert(1)), faultOf(insert(2)), faultOf(writer.check())]);
  for (const fault of faults) expect(fault).toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("SQLITE_BUSY") });
  expect(await writer.read(({ all }) => all.all())).toEqual([]);
  other.close();
  await insert(3);
  await writer.check();
  expect(await writer.read(({ all }) => all.all())).toEqual([3]);
});

test("a full disk is a fault, reads go on, and it is written again when there is space", async () => {
  using folder = openTemporaryFolder();
  const { writer, connections, insert } = openRows(folder.file("rows.db"));
  await using _ = writer;
  await insert(1);
  const pages = connections[0]?.pragma("page_count", { simple: true });
  connections[0]?.pragma(`max_page_count = ${pages}`);
  const [big, neighbour] = await Promise.all([faultOf(insert(2, "x".repeat(100_000))), faultOf(insert(3))]);
  expect(big.message).toContain("SQLITE_FULL");
  expect(neighbour.code).toBe("STORE_UNAVAILABLE");
  expect(await writer.read(({ all }) => all.all())).toEqual([1]);
  connections[0]?.pragma("max_page_count = 1000000");
  await insert(2, "x".repeat(100_000));
  expect(await writer.read(({ all }) => all.all())).toEqual([1, 2]);
  expect(connections).toHaveLength(1);
});

test("a connection that cannot write any more is opened anew", async () => {
  using folder = openTemporaryFolder();
  const { writer, connections, insert } = openRows(folder.file("rows.db"));
  await using _ = writer;
  connections[0]?.pragma("query_only = ON");
  expect((await faultOf(insert(1))).message).toContain("SQLITE_READONLY");
  await insert(2);
  expect(await writer.read(({ all }) => all.all())).toEqual([2]);
  expect(connections).toHaveLength(2);
});

test("6: nothing is acknowledged into a file that was removed or replaced while in use", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("rows.db");
  const { writer, insert } = openRows(path);
  await using _ = writer;
  renameSync(path, folder.file("elsewhere"));
  expect((await faultOf(insert(1))).message).toContain("removed or replaced");
  expect((await faultOf(writer.check())).message).toContain("removed or replaced");
  renameSync(folder.file("elsewhere"), path);
  await insert(2);
});

test("a fault is logged when it begins and when it ends, not at every order", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("rows.db");
  const said: string[] = [];
  const log = { ...silentLog, info: (_: object, text: string) => said.push(text), error: (_: object, text: string) => said.push(text) };
  await using writer = openWriter({ path, migrations, log, prepare: (db) => db.prepare<[number]>("INSERT INTO rows VALUES (?, 'x')") });
  const other = new Database(path);
  other.exec("BEGIN IMMEDIATE");
  for (const id of [1, 2, 3]) await faultOf(writer.write((insert) => insert.run(id)));
  other.close();
  for (const id of [4, 5]) await writer.write((insert) => insert.run(id));
  expect(said).toEqual(["store migrated", "store cannot be written", "store can be written again"]);
});

test("every transaction is timed once, with the work of all who share it, and one that could not be written is told as that", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("rows.db");
  const told: string[] = [];
  const timeCommit = () => {
    told.push("begun");
    return (isDone: boolean) => void told.push(isDone ? "committed" : "failed");
  };
  const prepare = (db: Database.Database) => db.prepare<[number]>("INSERT INTO rows VALUES (?, 'x')");
  await using writer = openWriter({ path, migrations, log: silentLog, timeCommit, prepare });
  await Promise.all([1, 2, 3].map((id) => writer.write((insert) => insert.run(id))));
  const other = new Database(path);
  other.exec("BEGIN IMMEDIATE");
  await faultOf(writer.write((insert) => insert.run(4)));
  other.close();
  expect(told).toEqual(["begun", "committed", "begun", "failed"]);
});
