import { statSync } from "node:fs";
import type { TokenOrder } from "@keyhole/core";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { at, signedOrder, start } from "../test/signed-orders.ts";
import { faultOf, labelOf, openTemporaryFolder, silentLog } from "../test/temporary-folder.ts";
import { openTokenReader, openTokenStore } from "./index.ts";
import { readMigrations } from "./migrations.ts";
import { prepareTokenReads, prepareTokenWrites } from "./token-queries.ts";

const order = (proofKey: string, change: Partial<TokenOrder> = {}): TokenOrder => signedOrder(proofKey, { ttlSeconds: 3600, ...change });

test("5: an ordered token is recorded with the second it was issued at, and its proof is spent", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const now = new Date(at(0).getTime() + 999);
  const token = { label: labelOf(1), kind: "hmac", issuedAt: at(0), expiresAt: at(3600) };
  expect(await store.orderToken(order("a", { now }))).toEqual({ outcome: "recorded", token, keyId: "key-1" });
  expect(await store.findToken(labelOf(1), "hmac", at(0))).toEqual(token);
  expect(await store.newestToken(labelOf(1), "hmac")).toEqual(token);
  expect(await store.orderToken(order("a", { now: at(5) }))).toEqual({ outcome: "proof-already-used" });
});

test("5: of two orders with one proof in the same turn exactly one is served, and for another label too", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const outcomes = await Promise.all([
    store.orderToken(order("a")),
    store.orderToken(order("a")),
    store.orderToken(order("a", { label: labelOf(2) })),
    store.orderToken(order("b", { label: labelOf(2) })),
  ]);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(["recorded", "proof-already-used", "proof-already-used", "recorded"]);
  expect(await store.newestToken(labelOf(2), "hmac")).toMatchObject({ issuedAt: at(0) });
});

test("issued-at rises by a second a label across kinds, and more than two seconds ahead of now is too fast", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const outcomes = await Promise.all([
    store.orderToken(order("a")),
    store.orderToken(order("b", { kind: "jwt" })),
    store.orderToken(order("c")),
    store.orderToken(order("d")),
  ]);
  expect(outcomes.map((outcome) => (outcome.outcome === "recorded" ? outcome.token.issuedAt : outcome.outcome))).toEqual([
    at(0),
    at(1),
    at(2),
    "too-fast",
  ]);
  expect(await store.newestToken(labelOf(1), "jwt")).toMatchObject({ issuedAt: at(1) });
  expect(await store.findToken(labelOf(1), "hmac", at(1))).toBeUndefined();
});

test("5: an order that comes too fast does not spend its proof", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await Promise.all(["a", "b", "c"].map((proof) => store.orderToken(order(proof))));
  expect(await store.orderToken(order("d"))).toEqual({ outcome: "too-fast" });
  expect(await store.orderToken(order("d", { now: at(1) }))).toMatchObject({ outcome: "recorded", token: { issuedAt: at(3) } });
});

test("a token is never issued before not-before", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  expect(await store.notBefore(labelOf(1))).toBeUndefined();
  const other = new Database(path);
  other.prepare("INSERT INTO not_before VALUES (?, ?)").run(labelOf(1), start + 2);
  other.prepare("INSERT INTO not_before VALUES (?, ?)").run(labelOf(2), start + 3);
  other.close();
  expect(await store.notBefore(labelOf(1))).toEqual(at(2));
  expect(await store.orderToken(order("a"))).toMatchObject({ token: { issuedAt: at(2), expiresAt: at(3602) } });
  expect(await store.orderToken(order("b", { label: labelOf(2) }))).toEqual({ outcome: "too-fast" });
});

test("an order that no caller may hand in fails alone", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const outcomes = await Promise.allSettled([
    store.orderToken(order("a")),
    store.orderToken(order("b", { now: new Date(Number.NaN) })),
    store.orderToken(order("c", { ttlSeconds: 0.5 })),
    store.orderToken(order("d", { label: null as never })),
    store.orderToken(order("")),
    store.orderToken(order("f", { keyId: "" })),
    store.orderToken(order("g", { repeat: { keyHash: "the key itself", requestHash: "0".repeat(64) } })),
    store.revoke(order("h", { now: new Date(Number.NaN) })),
    store.revoke(order("")),
    store.orderToken(order("e")),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", ...Array(8).fill("rejected"), "fulfilled"]);
  expect(await store.orderToken(order("d", { now: at(60) }))).toMatchObject({ outcome: "recorded" });
});

test("an issued-at that no token can have is not recorded, and no fault", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  for (const issuedAt of [new Date(Number.NaN), new Date(8.64e15), new Date(-1), new Date(at(0).getTime() + 1)]) {
    expect(await store.findToken(labelOf(1), "hmac", issuedAt)).toBeUndefined();
  }
});

test("spent proofs and expired tokens are forgotten a few an order, the newest token of each kind never", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await using store = await openTokenStore({ path, log: silentLog });
  for (let step = 0; step < 40; step += 1) {
    await store.orderToken(order(`1 old ${step}`, { now: at(step), kind: step < 20 ? "jwt" : "hmac" }));
  }
  // An hour after its proof ended, a day and an hour after it was issued: both are past here, and the row stays one second before.
  const later = 26 * 3600 + 100;
  // A clock that has jumped is believed an hour later.
  await store.orderToken(order("between", { label: labelOf(3), now: at(later - 3600), proofEndsAt: at(later) }));
  for (let step = 0; step < 40; step += 1) {
    await store.orderToken(order(`2 new ${step}`, { label: labelOf(2), now: at(later + step), proofEndsAt: at(later + 600) }));
  }
  using other = openRaw(path);
  expect(other.db.prepare("SELECT count(*) FROM spent_proofs WHERE proof_key LIKE '1 old%'").pluck().get()).toBe(0);
  expect(other.db.prepare("SELECT issued_at FROM tokens WHERE label = ? ORDER BY issued_at").pluck().all(labelOf(1))).toEqual([
    start + 19,
    start + 39,
  ]);
  expect(other.db.prepare("SELECT count(*) FROM tokens WHERE label = ?").pluck().get(labelOf(2))).toBe(40);
});

test("5: a proof that could still be repeated is never forgotten, however many orders follow", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await store.orderToken(order("a", { proofEndsAt: at(600) }));
  for (let step = 1; step < 50; step += 1) await store.orderToken(order(`b${step}`, { label: labelOf(2), now: at(600 + step) }));
  expect(await store.orderToken(order("a", { now: at(660) }))).toEqual({ outcome: "proof-already-used" });
});

test("whatever a label and others bought, no look-up and no order reads more rows than it is about", () => {
  const db = new Database(":memory:");
  for (const { sql } of readMigrations("tokens")) db.exec(sql);
  const { revocations: _, floor: __, ...reads } = prepareTokenReads(db);
  const statements: readonly { readonly source: string }[] = Object.values({ ...reads, ...prepareTokenWrites(db) });
  const steps = statements.flatMap(({ source }) => {
    const explain = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`);
    const bound = source.includes("@") ? [{ label: "", kind: "", issued_at: 0 }] : Array(source.split("?").length - 1).fill(0);
    return explain.all(...bound).map(({ detail }) => detail);
  });
  const ofTables = steps.filter((step) => /^(SCAN|SEARCH) (?!CONSTANT|given$|\()/.test(step));
  expect(ofTables.length).toBeGreaterThan(10);
  // A token is always looked for by label and kind at least: a label may have bought any number of another kind.
  const narrow =
    /^SEARCH (not_before|proofs_revoked|spent_proofs|repeats) USING|^SEARCH \w+ USING PRIMARY KEY \((label=\? AND kind=\?|\(label,kind,issued_at\)>)/;
  expect(ofTables.filter((step) => !narrow.test(step))).toEqual([]);
});

test("an expired token whose row would count for a day without it keeps its row for that day", async () => {
  using folder = openTemporaryFolder();
  await using store = await openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  await store.orderToken(order("a", { ttlSeconds: 60 }));
  await store.orderToken(order("b", { now: at(10), ttlSeconds: 60 }));
  const late = 24 * 3600;
  for (let step = 0; step < 9; step += 1) await store.orderToken(order(`c${step}`, { label: labelOf(2), now: at(late + step) }));
  expect(await store.findToken(labelOf(1), "hmac", at(0))).toMatchObject({ expiresAt: at(60) });
});

test("6: what was ordered before the store is closed is written, what comes afterwards is refused", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  const store = await openTokenStore({ path, log: silentLog });
  const pending = Promise.all(Array.from({ length: 600 }, (_, index) => store.orderToken(order(`p${index}`, { label: labelOf(index) }))));
  await store[Symbol.asyncDispose]();
  expect(new Set((await pending).map(({ outcome }) => outcome))).toEqual(new Set(["recorded"]));
  expect((await faultOf(store.orderToken(order("late")))).code).toBe("STORE_UNAVAILABLE");
  expect((await faultOf(store.newestToken(labelOf(1), "hmac"))).code).toBe("STORE_UNAVAILABLE");
  await store[Symbol.asyncDispose]();
  await using reader = await openTokenReader({ path });
  expect(await reader.newestToken(labelOf(599), "hmac")).toMatchObject({ issuedAt: at(0) });
});

test("files are for the owner and the group, whatever the umask", async () => {
  using folder = openTemporaryFolder();
  const umask = process.umask(0o077);
  try {
    const path = folder.file("tokens.db");
    await using store = await openTokenStore({ path, log: silentLog });
    await store.orderToken(order("a"));
    for (const name of ["tokens.db", "tokens.db-wal", "tokens.db-shm"]) expect(statSync(folder.file(name)).mode & 0o777).toBe(0o660);
  } finally {
    process.umask(umask);
  }
});

function openRaw(path: string): { db: Database.Database } & Disposable {
  const db = new Database(path);
  return { db, [Symbol.dispose]: () => db.close() };
}

test("5: a proof stays spent when the clock was a day ahead for a while, and others have ordered then, also over a restart", async () => {
  using folder = openTemporaryFolder();
  const open = () => openTokenStore({ path: folder.file("tokens.db"), log: silentLog });
  const day = 86_400;
  const orderAt = async (store: Awaited<ReturnType<typeof open>>, proof: string, seconds: number, label: number): Promise<string> => {
    const change = { now: at(seconds), provedAt: at(seconds), proofEndsAt: at(seconds + 300), label: labelOf(label) };
    return (await store.orderToken(order(proof, change))).outcome;
  };
  {
    await using store = await open();
    expect(await orderAt(store, "a", 0, 1)).toBe("recorded");
    for (const second of [day, day + 100, day + 3500]) expect(await orderAt(store, `b${second}`, second, 2)).toBe("recorded");
    expect(await orderAt(store, "a", 60, 1)).toBe("proof-already-used");
  }
  await using store = await open();
  expect(await orderAt(store, "c", day, 3)).toBe("recorded");
  expect(await orderAt(store, "a", 60, 1)).toBe("proof-already-used");
});
