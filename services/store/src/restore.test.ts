import { generateKeyPairSync, sign, verify } from "node:crypto";
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createChainVerifier } from "@keyhole/core";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { backUp, lastEvent, openTokens, orderFor, restoredAt } from "../test/restore-orders.ts";
import { at, signedOrder } from "../test/signed-orders.ts";
import { eventually, faultOf, labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { inspectStore, openEventReader, openTokenStore, restoreTokens } from "./index.ts";
import { readMigrations } from "./migrations.ts";

test("a copy that is taken while orders are written is whole, is one file, and has what was acknowledged before", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokens(folder);
  let last = 0;
  let isCopied = false;
  const writing = (async () => {
    for (; !isCopied; last += 1) await store.orderToken(signedOrder(`proof ${last}`, { now: at(last), label: labelOf((last % 50) + 1) }));
  })();
  const acknowledged = await eventually(async () => {
    expect(last).toBeGreaterThan(20);
    return last;
  });
  await backUp(folder, "tokens");
  isCopied = true;
  await writing;
  const { schema, head } = inspectStore({ path: folder.file("restored-tokens.db"), writer: "tokens" });
  expect(schema).toBe(readMigrations("tokens").length);
  expect(head?.sequence).toBeGreaterThanOrEqual(acknowledged);
  expect(head?.hash).toMatch(/^[0-9a-f]{64}$/);
});

test("6: a restored tokens.db undoes no revocation and no spent proof of after the backup, and lets no token of before it count", async () => {
  using folder = openTemporaryFolder();
  const [alice, bob] = [labelOf(1), labelOf(2)];
  {
    await using store = await openTokens(folder);
    await store.orderToken(signedOrder("before", { label: alice }));
    await backUp(folder, "tokens");
    await store.orderToken(signedOrder("after", { label: bob, now: at(100), ttlSeconds: 20_000 }));
    await store.revoke({ ...signedOrder("gone", { label: alice, now: at(200), provedAt: at(20_000) }) });
  }
  const order = orderFor(folder, "tokens");
  const restored = await restoreTokens({ ...order, windowSeconds: 300 });
  expect(await lastEvent(folder.file("restored-tokens.db"), "tokens")).toMatchObject({
    sequence: 4,
    event: "store.restored",
    at: at(restoredAt),
  });
  expect(restored).toMatchObject({ former: "whole", notBefore: at(restoredAt + 3), proofsUntil: at(restoredAt) });
  expect(restored.carried).toMatchObject({ spent_proofs: 2, tokens: 1, not_before: 1, revocations: 1 });

  await using store = await openTokens(folder, "restored-tokens.db");
  const later = { now: at(restoredAt + 60), provedAt: at(restoredAt + 50) };
  for (const proof of ["before", "after", "gone"])
    expect(await store.orderToken(signedOrder(proof, later))).toEqual({ outcome: "proof-already-used" });
  expect((await store.notBefore(labelOf(9)))?.getTime()).toBe(at(restoredAt + 3).getTime());
  // Alice had revoked everything that she would sign until then.
  expect(await store.orderToken(signedOrder("soon", { ...later, label: alice }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(signedOrder("old", { ...later, label: bob, provedAt: at(restoredAt) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(signedOrder("new", { ...later, label: bob }))).toMatchObject({ outcome: "recorded" });
});

test("6: a token that lies ahead of the restore, because a clock did, counts no more either", async () => {
  using folder = openTemporaryFolder();
  {
    await using store = await openTokens(folder);
    await store.orderToken(signedOrder("ahead", { now: at(restoredAt + 500) }));
  }
  await backUp(folder, "tokens");
  await restoreTokens({ ...orderFor(folder, "tokens"), windowSeconds: 300 });
  await using store = await openTokens(folder, "restored-tokens.db");
  expect(await store.notBefore(labelOf(1))).toEqual(at(restoredAt + 501));
});

test("6: sequences of revocations do not fall, and whoever polls finds each of them", async () => {
  using folder = openTemporaryFolder();
  let newest = 0;
  {
    await using store = await openTokens(folder);
    await backUp(folder, "tokens");
    for (const number of [1, 2, 3]) await store.revoke(signedOrder(`revoke ${number}`, { label: labelOf(number), now: at(number) }));
    newest = await store.newestRevocation();
  }
  await restoreTokens({ ...orderFor(folder, "tokens"), windowSeconds: 300 });
  await using store = await openTokens(folder, "restored-tokens.db");
  expect((await store.revocationsAfter(newest, 10)).map(({ label }) => label)).toEqual([1, 2, 3].map(labelOf));
});

test("6: with the former file destroyed no proof counts that could have been spent in it", async () => {
  using folder = openTemporaryFolder();
  {
    await using store = await openTokens(folder);
    await backUp(folder, "tokens");
    await store.orderToken(signedOrder("lost"));
  }
  for (const destroy of [
    () => writeFileSync(folder.file("tokens.db"), "not a database at all, but long enough to be looked at"),
    () => rmSync(folder.file("tokens.db")),
  ]) {
    destroy();
    const restored = await restoreTokens({ ...orderFor(folder, "tokens"), windowSeconds: 300 });
    expect(restored).toMatchObject({ former: "lost", proofsUntil: at(restoredAt + 300) });
  }
  await using store = await openTokens(folder, "restored-tokens.db");
  const order = { now: at(restoredAt + 60), provedAt: at(restoredAt + 300) };
  expect(await store.orderToken(signedOrder("lost", order))).toEqual({ outcome: "revoked" });
});

test("6: of a damaged former file everything is carried over that can be read, and what cannot be is told", async () => {
  using folder = openTemporaryFolder();
  {
    await using store = await openTokens(folder);
    await backUp(folder, "tokens");
    await store.revoke(signedOrder("revoked", { label: labelOf(7), now: at(5) }));
    await store.orderToken(signedOrder("spent"));
  }
  const db = new Database(folder.file("tokens.db"));
  const page = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'spent_proofs'").pluck().get() as number;
  const size = db.pragma("page_size", { simple: true }) as number;
  db.pragma("journal_mode = DELETE");
  db.close();
  const file = openSync(folder.file("tokens.db"), "r+");
  writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(file);
  const restored = await restoreTokens({ ...orderFor(folder, "tokens"), windowSeconds: 300 });
  expect(restored).toMatchObject({ former: "damaged", proofsUntil: at(restoredAt + 300) });
  await using store = await openTokens(folder, "restored-tokens.db");
  expect((await store.revocationsAfter(0, 10)).map(({ label }) => label)).toEqual([labelOf(7)]);
});

test("a copy that was damaged, or is of a newer version, is refused", async () => {
  using folder = openTemporaryFolder();
  {
    await using store = await openTokens(folder);
    for (let number = 0; number < 300; number += 1)
      await store.orderToken(signedOrder(`${number}`, { label: labelOf(number), now: at(number) }));
    await backUp(folder, "tokens");
  }
  const path = folder.file("restored-tokens.db");
  const inspect = async () => inspectStore({ path, writer: "tokens" });
  const db = new Database(path);
  db.exec("INSERT INTO migrations VALUES (99, '0099-later.sql'); PRAGMA user_version = 99");
  db.close();
  expect((await faultOf(inspect())).code).toBe("STORE_NEWER");
  writeFileSync(path, Buffer.alloc(8192, 7));
  expect((await faultOf(inspect())).code).toBe("STORE_CORRUPT");
});

test("history goes on without a gap or a seam where the former chain goes on from the backup's, and is left behind where it does not", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const signer = { keyId: "k1", sign: (text: Uint8Array) => sign(null, text, privateKey) };
  const events = { signer, keepMs: 90 * 86_400_000, keepRows: 1_000_000 };
  for (const isTampered of [false, true]) {
    using folder = openTemporaryFolder();
    {
      await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog, events });
      await store.orderToken(signedOrder("before"));
      await backUp(folder, "tokens");
      for (const number of [1, 2, 3]) await store.orderToken(signedOrder(`after ${number}`, { now: at(number * 10) }));
    }
    if (isTampered) {
      const db = new Database(folder.file("tokens.db"));
      db.exec("UPDATE events SET detail = '{}' WHERE sequence = 3");
      db.close();
    }
    const order = orderFor(folder, "tokens");
    const { carried } = await restoreTokens({ ...order, signer, windowSeconds: 300 });
    expect(carried["events"]).toBe(isTampered ? 0 : 3);
    await using reader = openEventReader({ path: order.path, writer: "tokens" });
    const verifier = createChainVerifier({
      writer: "tokens",
      ...(await reader.bounds()),
      verify: (_keyId, text, signature) => verify(null, text, publicKey, signature),
    });
    const rows = await reader.after(0, 100);
    expect(rows.map(({ event }) => event).slice(1)).toEqual([...(isTampered ? [] : Array(3).fill("token.granted")), "store.restored"]);
    expect(
      [...verifier.checkpoints, ...rows.map((row) => verifier.next(row)), verifier.end()].filter((flaw) => flaw !== undefined),
    ).toEqual([]);
  }
});
