import type { TokenOrder } from "@keyhole/core";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { at, signedOrder as order, start } from "../test/signed-orders.ts";
import { labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";

const repeat = (key: string, request = "0") => ({ keyHash: key.repeat(64), requestHash: request.repeat(64) });
const notBefore = at(1);

test("6: a revocation ends everything that was issued up to its second, and spends its proof with the orders' proofs", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await store.orderToken(order("a"));
  expect(await store.revoke(order("b", { now: new Date(at(0).getTime() + 999) }))).toEqual({ outcome: "revoked", notBefore });
  expect(await store.notBefore(labelOf(1))).toEqual(notBefore);
  expect(await store.notBefore(labelOf(2))).toBeUndefined();
  expect(await store.revoke(order("b", { now: at(5) }))).toEqual({ outcome: "proof-already-used" });
  expect(await store.orderToken(order("b", { now: at(5) }))).toEqual({ outcome: "proof-already-used" });
  expect(await store.revoke(order("a", { now: at(5) }))).toEqual({ outcome: "proof-already-used" });
  expect(await store.notBefore(labelOf(1))).toEqual(notBefore);
  expect(await store.orderToken(order("c"))).toMatchObject({ outcome: "recorded", token: { issuedAt: at(1) } });
});

test.each([
  ["by both clocks", at(100), 100, 101],
  ["by ours, when the clock of who revoked is behind", at(40), 99, 100],
  ["by the clock of who revoked, when it is ahead of ours", at(160), 160, 161],
])("6: what was signed before a revocation buys nothing afterwards: %s", async (_whose, revokedAt, before, after) => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  {
    await using store = await openTokenStore({ path, log: silentLog });
    await store.revoke(order("r", { now: at(100), provedAt: revokedAt }));
  }
  await using store = await openTokenStore({ path, log: silentLog });
  const now = at(170);
  expect(await store.orderToken(order("old", { now, provedAt: at(before) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(order("old", { now, provedAt: at(before) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(order("new", { now, provedAt: at(after) }))).toMatchObject({ outcome: "recorded" });
  expect(await store.orderToken(order("other", { now, provedAt: at(before), label: labelOf(2) }))).toMatchObject({ outcome: "recorded" });
});

test("6: what was signed before an exclusive token buys nothing after it either", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  expect(await store.orderToken(order("x", { now: at(50), provedAt: at(50), isExclusive: true }))).toMatchObject({ outcome: "recorded" });
  expect(await store.orderToken(order("y", { now: at(60), provedAt: at(50) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(order("z", { now: at(60), provedAt: at(51) }))).toMatchObject({ outcome: "recorded" });
});

test("6: a token that was issued ahead of its time is revoked too", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  for (const proof of ["a", "b", "c"]) await store.orderToken(order(proof));
  expect(await store.newestToken(labelOf(1), "hmac")).toMatchObject({ issuedAt: at(2) });
  expect(await store.revoke(order("d"))).toEqual({ outcome: "revoked", notBefore: at(3) });
});

test("6: not-before never falls, whatever the clock does", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await store.revoke(order("a", { now: at(100) }));
  expect(await store.revoke(order("b", { now: at(0) }))).toEqual({ outcome: "revoked", notBefore: at(101) });
  expect(await store.notBefore(labelOf(1))).toEqual(at(101));
});

test("6: an exclusive token revokes what is older in the same transaction, and not itself", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  await store.orderToken(order("a"));
  expect(await store.orderToken(order("b", { isExclusive: true }))).toMatchObject({ outcome: "recorded", token: { issuedAt: at(1) } });
  expect(await store.notBefore(labelOf(1))).toEqual(at(1));
  expect(await store.revocationsAfter(0, 10)).toEqual([{ sequence: 1, label: labelOf(1), notBefore: at(1) }]);
  await store.orderToken(order("c"));
  expect(await store.orderToken(order("d", { isExclusive: true }))).toEqual({ outcome: "too-fast" });
  expect(await store.orderToken(order("a", { isExclusive: true }))).toEqual({ outcome: "proof-already-used" });
  expect([await store.notBefore(labelOf(1)), await store.newestRevocation()]).toEqual([at(1), 1]);
});

test("12: a reader that polls hears of every label whose not-before rose, in the order of the changes, however late it comes", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using reader = await openTokenReader({ path });
  const store = await openTokenStore({ path, log: silentLog });
  expect([await reader.revocationsAfter(0, 10), await reader.newestRevocation()]).toEqual([[], 0]);
  for (const [step, wallet] of [1, 2, 3, 1, 2].entries()) {
    await store.revoke(order(`p${step}`, { label: labelOf(wallet), now: at(step) }));
  }
  const all = [
    { sequence: 3, label: labelOf(3), notBefore: at(3) },
    { sequence: 4, label: labelOf(1), notBefore: at(4) },
    { sequence: 5, label: labelOf(2), notBefore: at(5) },
  ];
  expect(await reader.revocationsAfter(0, 10)).toEqual(all);
  expect(await reader.revocationsAfter(0, 2)).toEqual(all.slice(0, 2));
  expect(await reader.revocationsAfter(4, 2)).toEqual(all.slice(2));
  expect(await reader.revocationsAfter(5, 2)).toEqual([]);
  for (const limit of [0, -1, Number.NaN]) expect(await reader.revocationsAfter(0, limit)).toEqual([]);
  expect(await reader.newestRevocation()).toBe(5);
  await store[Symbol.asyncDispose]();
  await using again = await openTokenStore({ path, log: silentLog });
  expect(await again.revocationsAfter(0, 10)).toEqual(all);
  await again.revoke(order("later", { label: labelOf(3), now: at(9) }));
  expect(await reader.revocationsAfter(5, 10)).toEqual([{ sequence: 6, label: labelOf(3), notBefore: at(10) }]);
});

test("a sequence is never given twice, also when the rows of the newest are gone", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  await store.revoke(order("a"));
  await store.revoke(order("b"));
  const other = new Database(path);
  other.exec("DELETE FROM revocations");
  other.close();
  await store.revoke(order("c"));
  expect(await store.revocationsAfter(0, 10)).toMatchObject([{ sequence: 3 }]);
});

test("a row without a label keeps a reader from none of those behind it", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  const other = new Database(path);
  other.prepare("INSERT INTO revocations (label, not_before) VALUES ('no label', 1)").run();
  other.close();
  await store.revoke(order("a"));
  expect(await store.revocationsAfter(0, 1)).toEqual([{ sequence: 2, label: labelOf(1), notBefore }]);
});

test("5: for a minute the same key and request get the token that was bought, with the key that made it", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const first = await openTokenStore({ path, log: silentLog });
  const bought = await first.orderToken(order("a", { keyId: "key-7", isExclusive: true, repeat: repeat("1") }));
  await first[Symbol.asyncDispose]();
  await using store = await openTokenStore({ path, log: silentLog });
  const again = (seconds: number, change: Partial<TokenOrder> = {}) =>
    store.orderToken(order("a", { now: at(seconds), keyId: "key-8", repeat: repeat("1"), ...change }));
  expect(await again(0)).toEqual({ ...bought, outcome: "repeated" });
  expect(await again(60)).toEqual({ ...bought, outcome: "repeated", keyId: "key-7" });
  expect(await store.newestToken(labelOf(1), "hmac")).toMatchObject({ issuedAt: at(0) });
  expect(await store.newestRevocation()).toBe(1);
  expect(await again(60, { repeat: undefined })).toEqual({ outcome: "proof-already-used" });
  expect(await again(60, { repeat: repeat("2") })).toEqual({ outcome: "proof-already-used" });
  expect(await again(60, { label: labelOf(2) })).toEqual({ outcome: "proof-already-used" });
  expect(await again(61)).toEqual({ outcome: "proof-already-used" });
});

test("5: of the same request twice in one turn the second is told what the first bought", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const same = order("a", { repeat: repeat("1") });
  const [first, second] = await Promise.all([store.orderToken(same), store.orderToken(same)]);
  expect(first).toMatchObject({ outcome: "recorded" });
  expect(second).toEqual({ ...first, outcome: "repeated" });
});

test("5: a key that comes with another request spends nothing, and is free again after its minute", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await store.orderToken(order("a", { repeat: repeat("1") }));
  const other = (seconds: number) => store.orderToken(order("b", { now: at(seconds), repeat: repeat("1", "f") }));
  expect(await other(60)).toEqual({ outcome: "key-reused" });
  expect(await store.orderToken(order("c", { label: labelOf(2), repeat: repeat("1", "f") }))).toMatchObject({ outcome: "recorded" });
  expect(await other(61)).toMatchObject({ outcome: "recorded", token: { issuedAt: at(61) } });
  expect(await other(61)).toMatchObject({ outcome: "repeated", token: { issuedAt: at(61) } });
});

test("an order that was refused leaves no answer to repeat", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await Promise.all(["a", "b", "c"].map((proof) => store.orderToken(order(proof))));
  expect(await store.orderToken(order("d", { repeat: repeat("1") }))).toEqual({ outcome: "too-fast" });
  expect(await store.orderToken(order("d", { now: at(1), repeat: repeat("1", "f") }))).toMatchObject({ outcome: "recorded" });
});

test("6: what was revoked meanwhile is not given again to who repeats a request", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const first = order("a", { repeat: repeat("1") });
  await store.orderToken(first);
  await store.revoke(order("b"));
  expect(await store.orderToken(first)).toEqual({ outcome: "revoked" });
  const second = order("c", { now: at(1), isExclusive: true, repeat: repeat("2") });
  await store.orderToken(second);
  expect(await store.orderToken(second)).toMatchObject({ outcome: "repeated", token: { issuedAt: at(1) } });
  await store.orderToken(order("d", { now: at(2), isExclusive: true }));
  expect(await store.orderToken(second)).toEqual({ outcome: "revoked" });
});

test("what a key bought is forgotten a few an order, when its minute is over", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  for (let step = 0; step < 40; step += 1) {
    await store.orderToken(order(`old ${step}`, { label: labelOf(step), repeat: repeat("1") }));
  }
  for (let step = 0; step < 10; step += 1) {
    await store.orderToken(order(`new ${step}`, { label: labelOf(step), now: at(61), repeat: repeat("2") }));
  }
  const other = new Database(path, { readonly: true });
  expect(other.prepare("SELECT DISTINCT key_hash FROM repeats").pluck().all()).toEqual(["2".repeat(64)]);
  other.close();
});

test("6: what an operator has revoked is below every token that is bought after it, and no proof of before buys one", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const operatorRevocation = { notBefore: at(12), at: new Date(at(10).getTime() + 400) };
  const asked = { now: at(11), operatorRevocation };
  expect(await store.orderToken(order("a", { ...asked, provedAt: at(10) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(order("a", { ...asked, provedAt: at(11) }))).toMatchObject({ token: { issuedAt: at(12) } });
  await store.orderToken(order("b", { now: at(20), repeat: repeat("a") }));
  expect(
    await store.orderToken(order("b", { now: at(21), repeat: repeat("a"), operatorRevocation: { notBefore: at(24), at: at(21) } })),
  ).toEqual({
    outcome: "revoked",
  });
});

test("6: below what a restored backup says, no token and no proof counts, for any label", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await (await openTokenStore({ path, log: silentLog }))[Symbol.asyncDispose]();
  const db = new Database(path);
  db.prepare("INSERT INTO floor VALUES (1, ?, ?)").run(start + 50, start + 47);
  db.close();
  await using store = await openTokenStore({ path, log: silentLog });
  await using reader = await openTokenReader({ path });
  expect(await reader.notBefore(labelOf(1))).toEqual(at(50));
  expect((await reader.readCredential(labelOf(1), "hmac", at(1))).notBefore).toEqual(at(50));
  expect(await store.orderToken(order("a", { now: at(49), provedAt: at(47) }))).toEqual({ outcome: "revoked" });
  expect(await store.orderToken(order("a", { now: at(49), provedAt: at(48) }))).toMatchObject({ token: { issuedAt: at(50) } });
  const { label, proofKey, provedAt, proofEndsAt, now } = order("r", { now: at(60) });
  await store.revoke({ label, proofKey, provedAt, proofEndsAt, now });
  expect((await reader.readCredential(labelOf(1), "hmac", at(50))).notBefore).toEqual(at(61));
});
