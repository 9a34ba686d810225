import { copyFileSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { eventually, faultOf, labelOf, openTemporaryFolder, plainOrder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

const now = new Date(1_800_000_000_000);
const order = (proofKey: string, wallet = 1) =>
  ({ ...plainOrder, label: labelOf(wallet), proofKey, provedAt: now, proofEndsAt: new Date(now.getTime() + 600_000), now }) as const;

test("before the file exists nothing is recorded, and what is written afterwards is seen at the next read", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using reader = await openTokenReader({ path });
  expect(await reader.newestToken(labelOf(1), "hmac")).toBeUndefined();
  expect(await reader.notBefore(labelOf(1))).toBeUndefined();
  expect([await reader.revocationsAfter(0, 10), await reader.newestRevocation()]).toEqual([[], 0]);
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
  await eventually(async () => expect((await faultOf(reader.notBefore(labelOf(1)))).message).toContain("removed while in use"));

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
  await eventually(async () => expect(await reader.newestToken(labelOf(2), "hmac")).toBeUndefined());
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

test("a newer schema asks for a newer reader", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await (await openTokenStore({ path, log: silentLog }))[Symbol.asyncDispose]();
  const other = new Database(path);
  other.pragma("user_version = 99");
  await using reader = await openTokenReader({ path });
  const fault = await faultOf(reader.notBefore(labelOf(1)));
  expect(fault).toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("schema 99") });
  other.pragma("user_version = 6");
  other.close();
  expect(await reader.notBefore(labelOf(1))).toBeUndefined();
});

test("after it is closed a reader answers nothing", async () => {
  using folder = openTemporaryFolder();
  const reader = await openTokenReader({ path: folder.file("tokens.db") });
  await reader[Symbol.asyncDispose]();
  expect((await faultOf(reader.notBefore(labelOf(1)))).code).toBe("STORE_UNAVAILABLE");
});

test("6: a revocation that another process committed between two logins is in force at the second", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  const bought = await store.orderToken(order("a"));
  if (bought.outcome !== "recorded") throw new Error(bought.outcome);
  await using reader = await openTokenReader({ path });
  const { token } = bought;
  const look = () => reader.readCredential(labelOf(1), "hmac", token.issuedAt);
  expect(await look()).toEqual({ recorded: token, newest: token, notBefore: undefined });
  expect(await store.revoke(order("b"))).toEqual({ outcome: "revoked", notBefore: new Date(1_800_000_001_000) });
  expect(await look()).toEqual({ recorded: token, newest: token, notBefore: new Date(1_800_000_001_000) });
  expect(await reader.readCredential(labelOf(1), "jwt", token.issuedAt)).toMatchObject({ recorded: undefined, newest: undefined });
});

test("what a login is told at once is what the three look-ups tell, however many tokens there are, and each login gets its own", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  await using reader = await openTokenReader({ path });
  const kinds = ["hmac", "jwt"] as const;
  for (let index = 0; index < 30; index += 1) {
    const wallet = index < 12 ? 1 : 2 + (index % 5);
    const kind = index % 4 === 3 ? "jwt" : "hmac";
    await store.orderToken({ ...order(`b${index}`, wallet), kind, now: new Date(now.getTime() + index * 1000) });
  }
  const asked = [1, 2, 3, 4, 5, 6, 7].flatMap((wallet) =>
    kinds.flatMap((kind) =>
      Array.from({ length: 33 }, (_, second) => [labelOf(wallet), kind, new Date(now.getTime() + (second - 1) * 1000)] as const),
    ),
  );
  const found = await Promise.all(asked.map((one) => reader.readCredential(...one)));
  for (const [index, [label, kind, issuedAt]] of asked.entries()) {
    expect(found[index]).toEqual({
      recorded: await reader.findToken(label, kind, issuedAt),
      newest: await reader.newestToken(label, kind),
      notBefore: await reader.notBefore(label),
    });
  }
  expect(await reader.readCredential(labelOf(1), "hmac", new Date(Number.NaN))).toMatchObject({ recorded: undefined });
});
