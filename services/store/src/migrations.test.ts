import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { faultOf, labelOf, openTemporaryFolder, plainOrder, silentLog } from "../test/temporary-folder.ts";
import { prepareFile } from "./database-file.ts";
import { openSessionReader, openSessionStore, openTokenReader, openTokenStore } from "./index.ts";
import { readMigrations } from "./migrations.ts";

const one = { name: "0001-one.sql", sql: "CREATE TABLE one (id INTEGER PRIMARY KEY)" };
const two = { name: "0002-two.sql", sql: "CREATE TABLE two (id INTEGER PRIMARY KEY); INSERT INTO two SELECT id FROM one" };
const broken = { name: "0002-broken.sql", sql: "CREATE TABLE two (id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1)" };

const prepare = async (path: string, known: (typeof one)[]): Promise<void> => prepareFile(path, known, silentLog);

function query(path: string, sql: string): unknown[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare(sql).pluck().all();
  } finally {
    db.close();
  }
}

test("the steps of each file are numbered without gaps", () => {
  expect(readMigrations("tokens").map(({ name }) => name)).toEqual([
    "0001-tokens-and-proofs.sql",
    "0002-revocations-and-repeats.sql",
    "0003-one-tree-of-tokens.sql",
    "0004-proofs-of-before.sql",
    "0005-events-and-floor.sql",
    "0006-proofs-in-one-tree.sql",
  ]);
  expect(readMigrations("sessions").map(({ name }) => name)).toEqual([
    "0001-sessions-and-blocks.sql",
    "0002-watched.sql",
    "0003-newest-issued.sql",
    "0004-events-blocks-revocations.sql",
    "0005-events-by-label.sql",
  ]);
});

test("a new file has every step, no copy, and nothing beside it", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("a.db");
  await prepare(path, [one, two]);
  expect(query(path, "SELECT name FROM migrations ORDER BY number")).toEqual([one.name, two.name]);
  expect(query(path, "PRAGMA user_version")).toEqual([2]);
  expect(query(path, "PRAGMA journal_mode")).toEqual(["wal"]);
  expect(readdirSync(folder.path).filter((name) => !name.endsWith("-wal") && !name.endsWith("-shm"))).toEqual(["a.db"]);
});

test("a step that was missing is applied once, after a copy of the file", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("a.db");
  await prepare(path, [one]);
  const db = new Database(path);
  db.exec("INSERT INTO one VALUES (42)");
  db.close();
  writeFileSync(`${path}.before-2`, "left by a start that was cut short");
  await prepare(path, [one, two]);
  await prepare(path, [one, two]);
  expect(query(path, "SELECT id FROM two")).toEqual([42]);
  expect(query(`${path}.before-2`, "SELECT id FROM one")).toEqual([42]);
  expect(query(`${path}.before-2`, "PRAGMA user_version")).toEqual([1]);
  expect(statSync(`${path}.before-2`).mode & 0o777).toBe(0o660);
});

test("a step that fails leaves the file as it was, and the next start may succeed", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("a.db");
  await prepare(path, [one]);
  expect((await faultOf(prepare(path, [one, broken]))).code).toBe("STORE_UNAVAILABLE");
  expect(query(path, "PRAGMA user_version")).toEqual([1]);
  expect(query(path, "SELECT name FROM sqlite_schema WHERE name = 'two'")).toEqual([]);
  await prepare(path, [one, two]);
  expect(query(path, "PRAGMA user_version")).toEqual([2]);
});

test("a start that was killed while it made the file leaves nothing that a later start trips over", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("a.db");
  writeFileSync(`${path}.new`, "half a file");
  writeFileSync(`${path}.new-wal`, "half a log");
  await prepare(path, [one]);
  expect(query(path, "PRAGMA user_version")).toEqual([1]);
  expect(existsSync(`${path}.new`)).toBe(false);
});

test("a file of a newer version is refused, named, and left alone", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  await (await openTokenStore({ path, log: silentLog }))[Symbol.asyncDispose]();
  const db = new Database(path);
  db.pragma("user_version = 7");
  db.close();
  const before = readFileSync(path);
  const fault = await faultOf(openTokenStore({ path, log: silentLog }));
  expect(fault.code).toBe("STORE_NEWER");
  expect(fault.message).toContain("schema 7");
  expect(fault.message).toContain("knows up to 6");
  expect(fault.message).toContain(`${path}.before-7`);
  expect(readFileSync(path)).toEqual(before);
});

test("a damaged, empty, foreign or exchanged file is refused with the command that helps", async () => {
  using folder = openTemporaryFolder();
  const garbage = folder.file("garbage.db");
  writeFileSync(garbage, "no database at all, but long enough to be read as one ".repeat(50));
  const empty = folder.file("empty.db");
  writeFileSync(empty, "");
  const foreign = folder.file("foreign.db");
  new Database(foreign).exec("CREATE TABLE theirs (id INTEGER)").close();
  const sessions = folder.file("sessions.db");
  await (await openSessionStore({ path: sessions, log: silentLog }))[Symbol.asyncDispose]();
  const torn = folder.file("torn.db");
  const store = await openTokenStore({ path: torn, log: silentLog });
  const now = new Date(1_800_000_000_000);
  await Promise.all(
    Array.from({ length: 500 }, (_, index) =>
      store.orderToken({ ...plainOrder, label: labelOf(index), proofKey: `p${index}`, provedAt: now, proofEndsAt: now, now }),
    ),
  );
  await store[Symbol.asyncDispose]();
  truncateSync(torn, statSync(torn).size - 3 * 4096);
  const orphaned = folder.file("orphaned.db");
  writeFileSync(`${orphaned}-wal`, "what was written last, without the file it belongs to");

  for (const path of [garbage, empty, foreign, sessions, torn, orphaned]) {
    const fault = await faultOf(openTokenStore({ path, log: silentLog }));
    expect([path, fault.code]).toEqual([path, "STORE_CORRUPT"]);
    expect(fault.message).toContain(`sqlite3 '${path}' .recover`);
  }
});

test("a folder that is not there is a fault that says so", async () => {
  using folder = openTemporaryFolder();
  const fault = await faultOf(openTokenStore({ path: folder.file("missing/tokens.db"), log: silentLog }));
  expect(fault).toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("ENOENT") });
});

test("tokens, proofs and revocations of the first version are found by this one, and a reader needs not wait for the writer", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("tokens.db");
  prepareFile(path, readMigrations("tokens").slice(0, 1), silentLog);
  const start = 1_800_000_000;
  const at = (seconds: number): Date => new Date((start + seconds) * 1000);
  const old = new Database(path);
  old.prepare("INSERT INTO tokens (label, issued_at, kind, expires_at) VALUES (?, ?, 'hmac', ?)").run(labelOf(1), start, start + 60);
  const spend = old.prepare("INSERT INTO spent_proofs (proof_key, ends_at) VALUES (?, ?)");
  for (const key of ["spent", `token:${labelOf(1)}:${start}`, `revoke-jwt:${labelOf(1)}:${start + 1}`]) spend.run(key, start + 600);
  old.prepare("INSERT INTO not_before (label, at) VALUES (?, ?), (?, ?)").run(labelOf(1), start - 5, labelOf(2), start - 9);
  old.close();

  await using reader = await openTokenReader({ path });
  const token = { label: labelOf(1), kind: "hmac", issuedAt: at(0), expiresAt: at(60) } as const;
  const known = { recorded: token, newest: token, notBefore: at(-5) };
  expect(await reader.readCredential(labelOf(1), "hmac", at(0))).toEqual(known);
  expect([await reader.revocationsAfter(0, 10), await reader.newestRevocation()]).toEqual([[], 0]);

  await using store = await openTokenStore({ path, log: silentLog });
  expect(await reader.readCredential(labelOf(1), "hmac", at(0))).toEqual(known);
  expect(await reader.revocationsAfter(0, 10)).toEqual([
    { sequence: 1, label: labelOf(2), notBefore: at(-9) },
    { sequence: 2, label: labelOf(1), notBefore: at(-5) },
  ]);
  const order = { ...plainOrder, label: labelOf(1), provedAt: at(300), proofEndsAt: at(600), now: at(0) };
  for (const proofKey of ["spent", `${start}:token:${labelOf(1)}`, `${start + 1}:revoke-jwt:${labelOf(1)}`])
    expect(await store.orderToken({ ...order, proofKey })).toEqual({ outcome: "proof-already-used" });
  expect(await store.orderToken({ ...order, proofKey: "new" })).toMatchObject({ outcome: "recorded", token: { issuedAt: at(1) } });
  expect(await store.revoke({ ...order, proofKey: "other" })).toEqual({ outcome: "revoked", notBefore: at(2) });
  expect(await reader.revocationsAfter(2, 10)).toEqual([{ sequence: 3, label: labelOf(1), notBefore: at(2) }]);
});

test("the newest issued-at of sessions of an older version is known before and after their writer has migrated them", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  prepareFile(path, readMigrations("sessions").slice(0, 2), silentLog);
  const old = new Database(path);
  const insert = old.prepare("INSERT INTO sessions VALUES (?, ?, ?, ?, 1, 1, NULL, NULL, NULL)");
  insert.run(labelOf(1), 1, "claim", 20);
  insert.run(labelOf(1), 2, "claim", 10);
  insert.run(labelOf(1), 3, "hmac", 30);
  old.close();
  const look = async (sessions: Pick<Awaited<ReturnType<typeof openSessionReader>>, "newestIssuedAt">): Promise<unknown> =>
    await Promise.all((["claim", "stellar-jwt", "hmac"] as const).map((kind) => sessions.newestIssuedAt(labelOf(1), kind)));

  await using reader = await openSessionReader({ path });
  // A token's newest is in tokens.db.
  const known = [new Date(20_000), undefined, undefined];
  expect(await look(reader)).toEqual(known);
  await using store = await openSessionStore({ path, log: silentLog });
  expect(await look(store)).toEqual(known);
  expect(await look(reader)).toEqual(known);
});

test("a schema that is too old to be read waits for its writer, and says so", async () => {
  using folder = openTemporaryFolder();
  const path = folder.file("sessions.db");
  prepareFile(path, readMigrations("sessions").slice(0, 1), silentLog);
  await using reader = await openSessionReader({ path });
  const fault = await faultOf(reader.highestGeneration(labelOf(1)));
  expect(fault).toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("Start the writer") });
  await using _store = await openSessionStore({ path, log: silentLog });
  expect(await reader.highestGeneration(labelOf(1))).toBe(0);
});
