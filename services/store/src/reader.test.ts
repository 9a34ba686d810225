import { copyFileSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { faultOf, labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

const now = new Date(1_800_000_000_000);
const order = (proofKey: string, wallet = 1) =>
  ({ label: labelOf(wallet), kind: "hmac", proofKey, proofEndsAt: new Date(now.getTime() + 600_000), now, ttlSeconds: 60 }) as const;

test("before the file exists nothing is recorded, and what is written afterwards is seen at the next read", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using reader = await openTokenReader({ path });
  expect(await reader.newestToken(labelOf(1), "hmac")).toBeUndefined();
  expect(await reader.notBefore(labelOf(1))).toBeUndefined();
  await using store = await openTokenStore({ path, log: silentLog });
  expect(await reader.newestToken(labelOf(1), "hmac")).toBeUndefined();
  await store.orderToken(order("a"));
  expect(await reader.newestToken(labelOf(1), "hmac")).toMatchObject({ issuedAt: now });
});

test('a file that is there and cannot be read is a fault, never "nothing is recorded"', async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using reader = await openTokenReader({ path });

  mkdirSync(path);
  expect((await faultOf(reader.notBefore(labelOf(1)))).message).toContain("SQLITE_");
  rmdirSync(path);

  writeFileSync(path, "not a database, but long enough to be read as one ".repeat(100));
  expect((await faultOf(reader.notBefore(labelOf(1)))).message).toContain("SQLITE_NOTADB");
  writeFileSync(path, "");
  expect((await faultOf(reader.notBefore(labelOf(1)))).code).toBe("STORE_UNAVAILABLE");
  rmSync(path);
  expect((await faultOf(reader.notBefore(labelOf(1)))).message).toContain("removed while in use");

  await using _store = await openTokenStore({ path, log: silentLog });
  expect(await reader.notBefore(labelOf(1))).toBeUndefined();
});

test("a reader goes over to a file that was put in place of the former one", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const first = await openTokenStore({ path, log: silentLog });
  await first.orderToken(order("a"));
  await first[Symbol.asyncDispose]();
  copyFileSync(path, folder.file("backup"));
  const second = await openTokenStore({ path, log: silentLog });
  await second.orderToken(order("b", 2));
  await second[Symbol.asyncDispose]();

  await using reader = await openTokenReader({ path });
  expect(await reader.newestToken(labelOf(2), "hmac")).toBeDefined();
  renameSync(folder.file("backup"), path);
  expect(await reader.newestToken(labelOf(2), "hmac")).toBeUndefined();
  expect(await reader.newestToken(labelOf(1), "hmac")).toBeDefined();
});

test("a reader of a locked file faults, and answers again when the lock is gone", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const store = await openTokenStore({ path, log: silentLog });
  await store.orderToken(order("a"));
  await store[Symbol.asyncDispose]();
  const other = new Database(path);
  other.pragma("locking_mode = EXCLUSIVE");
  other.exec("BEGIN EXCLUSIVE");
  await using reader = await openTokenReader({ path });
  expect((await faultOf(reader.newestToken(labelOf(1), "hmac"))).message).toContain("SQLITE_BUSY");
  other.close();
  expect(await reader.newestToken(labelOf(1), "hmac")).toBeDefined();
});

test("an older schema waits for its writer, a newer one asks for a newer reader", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await (await openTokenStore({ path, log: silentLog }))[Symbol.asyncDispose]();
  const other = new Database(path);
  other.pragma("user_version = 99");
  await using reader = await openTokenReader({ path });
  const fault = await faultOf(reader.notBefore(labelOf(1)));
  expect(fault).toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("schema 99") });
  other.pragma("user_version = 1");
  other.close();
  expect(await reader.notBefore(labelOf(1))).toBeUndefined();
});

test("after it is closed a reader answers nothing", async () => {
  using folder = openTemporaryFolder();
  const reader = await openTokenReader({ path: folder.file("tokens.db") });
  await reader[Symbol.asyncDispose]();
  expect((await faultOf(reader.notBefore(labelOf(1)))).code).toBe("STORE_UNAVAILABLE");
});
