import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Fault, type Label, parseLabel } from "@keyhole/core";
import { openSessionStore, openTokenStore } from "@keyhole/store";
import Database from "better-sqlite3";
import { pack } from "tar-stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { renderBackup } from "../commands/backup.ts";
import { renderChecked } from "../commands/restore.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { checkBackup, restoreBackup } from "./restore-backup.ts";
import { finishRestore } from "./restore-swap.ts";
import { takeBackup } from "./take-backup.ts";

const say = (): void => {};
const log = { debug: say, info: say, warn: say, error: say };
const label = (number: number): Label => parseLabel(`0x${number.toString(16).padStart(40, "0")}`) as Label;
const early = new Date("2026-01-01T00:00:00Z");

let dir: string;
let stateDir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "keyhole-backup-"));
  stateDir = join(dir, "state");
  file = join(dir, "one.backup");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const state = () => openStateDirectory(stateDir, "private");
const openTokens = () => openTokenStore({ path: join(stateDir, "tokens.db"), log });
const openSessions = () => openSessionStore({ path: join(stateDir, "sessions.db"), log });
const take = (change: { withKeys?: boolean; isForced?: boolean } = {}) =>
  takeBackup({ state: state(), file, withKeys: false, isForced: false, version: "0.1.0", now: () => new Date(), progress: say, ...change });
const restore = (at?: Date) =>
  restoreBackup({
    state: state(),
    file,
    windowSeconds: 300,
    signerOf: () => undefined,
    now: () => at ?? new Date(),
    pid: process.pid,
    log,
    progress: say,
  });

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => new Error("no fault"),
    (reason: unknown) => reason,
  );
  if (error instanceof Fault) return error;
  throw error;
}

/** What happened before the backup, and after it. */
async function live(number: number): Promise<void> {
  state();
  await using tokens = await openTokens();
  const order = { label: label(number), kind: "hmac", provedAt: early, proofEndsAt: new Date(Date.now() + 600_000), keyId: "k" } as const;
  await tokens.orderToken({
    ...order,
    proofKey: `proof ${number}`,
    now: new Date(),
    ttlSeconds: 3600,
    isExclusive: false,
    repeat: undefined,
  });
  await tokens.revoke({ ...order, label: label(number + 100), proofKey: `revocation ${number}`, now: new Date() });
  await using sessions = await openSessions();
  await sessions.saveBlock(
    { subject: label(number), reason: "abuse", createdAt: early, endsAt: undefined },
    { at: early, event: "block.set", label: label(number), detail: {} },
  );
}

/** What must not be undone: what has been revoked, spent and blocked. */
async function standing(): Promise<unknown> {
  await using tokens = await openTokens();
  await using sessions = await openSessions();
  const order = {
    label: label(1),
    kind: "hmac",
    provedAt: new Date(0),
    proofEndsAt: early,
    now: early,
    ttlSeconds: 60,
    keyId: "k",
  } as const;
  const spent = await Promise.all(
    [1, 2].map((number) => tokens.orderToken({ ...order, proofKey: `proof ${number}`, isExclusive: false, repeat: undefined })),
  );
  return {
    spent: spent.map(({ outcome }) => outcome),
    revoked: (await tokens.revocationsAfter(0, 10)).map((each) => each.label),
    blocked: (await sessions.blocks()).map(({ subject }) => subject),
  };
}

const everything = {
  spent: ["proof-already-used", "proof-already-used"],
  revoked: [label(101), label(102)],
  blocked: [label(1), label(2)],
};

it("a backup is one private file that any tar can list, taken while both stores are open; a file that is there is not replaced", async () => {
  await live(1);
  await using _tokens = await openTokens();
  await using _sessions = await openSessions();
  const { manifest, bytes } = await take();
  expect(manifest.stores.tokens?.head?.sequence).toBe(2);
  expect([statSync(file).size, statSync(file).mode & 0o777, readdirSync(dir).sort()]).toEqual([bytes, 0o600, ["one.backup", "state"]]);
  const listed = spawnSync("tar", ["-tf", file], { encoding: "utf8" });
  expect(listed.stdout.split("\n")).toEqual(["manifest.json", "tokens.db", "sessions.db", ""]);
  expect((await faultOf(take())).code).toBe("BACKUP_EXISTS");
  await take({ isForced: true });
  expect((await checkBackup(file, say)).manifest.files).toHaveLength(2);
});

it("9: a backup holds keys only when they are asked for; a restore puts back those that are missing, and no other", async () => {
  await live(1);
  const keys = join(stateDir, "keys", "token-hmac");
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  for (const name of ["1-aaaaaaaa.key", "2-bbbbbbbb.key"]) writeFileSync(join(keys, name), `before ${name}`, { mode: 0o600 });
  await take();
  expect(readFileSync(file).includes("before 1-aaaaaaaa.key")).toBe(false);
  await take({ isForced: true, withKeys: true });
  rmSync(join(keys, "1-aaaaaaaa.key"));
  writeFileSync(join(keys, "2-bbbbbbbb.key"), "since then");
  const { plan } = await restore();
  expect(plan.keys).toEqual(["keys/token-hmac/1-aaaaaaaa.key"]);
  expect(readFileSync(join(keys, "1-aaaaaaaa.key"), "utf8")).toBe("before 1-aaaaaaaa.key");
  expect(readFileSync(join(keys, "2-bbbbbbbb.key"), "utf8")).toBe("since then");
});

it("9: the public halves that every backup holds are no keys: nobody is told that the file makes tokens, until it does", async () => {
  await live(1);
  for (const [folder, name] of [
    ["audit-tokens-public", "1-aaaaaaaa.pub"],
    ["token-hmac", "1-bbbbbbbb.key"],
  ] as const) {
    mkdirSync(join(stateDir, "keys", folder), { recursive: true, mode: 0o700 });
    writeFileSync(join(stateDir, "keys", folder, name), "key", { mode: 0o600 });
  }
  const without = await take();
  expect(without.manifest.files.map(({ name }) => name)).toContain("keys/audit-tokens-public/1-aaaaaaaa.pub");
  expect(renderBackup(without)).toMatch(/keys +none/);
  expect(renderBackup(without)).not.toContain("WHOEVER");
  expect(renderChecked(await checkBackup(file, say))).toMatch(/keys +none/);
  const whole = await take({ isForced: true, withKeys: true });
  expect(renderBackup(whole)).toMatch(/keys +1 file\n! It holds the keys: WHOEVER/);
  expect(renderChecked(await checkBackup(file, say))).toMatch(/keys +1 file\n/);
});

it("a file that was cut off, altered, is of somebody else or is not there is no backup, and nothing is changed for it", async () => {
  await live(1);
  await take();
  const good = readFileSync(file);
  const before = readdirSync(stateDir).sort();
  const spoil: readonly [string, (bytes: Buffer) => Buffer][] = [
    ["cut off", (bytes) => bytes.subarray(0, bytes.length - 20_000)],
    ["cut off in its manifest", (bytes) => bytes.subarray(0, 700)],
    ["empty", () => Buffer.alloc(0)],
    ["no tar", () => Buffer.from("SQLite format 3\0".repeat(100))],
    ["one bit of a store", (bytes) => flip(bytes, bytes.indexOf("SQLite format 3") + 5000)],
    ["one digit of its manifest", (bytes) => flip(bytes, bytes.indexOf('"sha256": "') + 12)],
  ];
  for (const [what, change] of spoil) {
    writeFileSync(file, change(Buffer.from(good)));
    expect([what, (await faultOf(checkBackup(file, say))).code]).toEqual([what, "BACKUP_INVALID"]);
    expect([what, (await faultOf(restore())).code]).toEqual([what, "BACKUP_INVALID"]);
  }
  rmSync(file);
  expect((await faultOf(restore())).code).toBe("BACKUP_MISSING");
  for (const endless of ["/dev/zero", dir]) expect((await faultOf(checkBackup(endless, say))).code).toBe("BACKUP_INVALID");
  expect(
    readdirSync(stateDir)
      .filter((name) => name !== "lock")
      .sort(),
  ).toEqual(before);
});

const flip = (bytes: Buffer, at: number): Buffer => {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
};

it("a name that leads out of the state directory is in no backup", async () => {
  await live(1);
  await take();
  const { manifest } = await checkBackup(file, say);
  for (const name of ["keys/../../evil", "keys/a/../../../evil", "/etc/evil", "keys/a/.hidden", "ports.json"]) {
    const tar = pack();
    const files = [{ name, size: 4, sha256: "0".repeat(64), mode: 0o600 }];
    tar.entry({ name: "manifest.json" }, JSON.stringify({ ...manifest, stores: {}, files }));
    tar.entry({ name }, "evil");
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
    writeFileSync(file, Buffer.concat(chunks));
    expect([name, (await faultOf(restore())).code]).toEqual([name, "BACKUP_INVALID"]);
  }
  expect(existsSync(join(dir, "evil"))).toBe(false);
});

it("6: a clock that is behind the backup would let what was issued since count, so nothing is restored by it", async () => {
  await live(1);
  await take();
  expect((await faultOf(restore(new Date(Date.now() - 60_000)))).message).toMatch(/set the clock right/);
});

it("a restore waits for nobody: who serves from the state directory is named", async () => {
  await live(1);
  await take();
  const { openStateLock } = await import("@keyhole/store");
  await using _plugin = await openStateLock({ dir: state().folder("lock", "plugin"), pid: 4711 });
  expect((await faultOf(restore())).message).toMatch(/4711/);
});

it("6: killed before any of its steps, a restore leaves the old state or can be finished; the next one undoes nothing", async () => {
  const program = fileURLToPath(new URL("./restore-killed-for-tests.ts", import.meta.url));
  const run = (killAt: number) => spawnSync(process.execPath, [program, stateDir, file, String(killAt)], { encoding: "utf8" });
  await live(1);
  await take();
  const untouched = join(dir, "untouched");
  await live(2);
  spawnSync("cp", ["-a", stateDir, untouched]);
  const steps = run(0).stdout.trim().split("\n");
  expect(steps.at(-1)).toBe("restored");
  expect(steps.length).toBeGreaterThan(9);
  for (let killAt = 1; killAt < steps.length; killAt += 1) {
    rmSync(stateDir, { recursive: true });
    spawnSync("cp", ["-a", untouched, stateDir]);
    expect(run(killAt).signal).toBe("SIGKILL");
    const isDecided = killAt > steps.indexOf("decide") + 1;
    // A part that starts finishes it, or a second restore does.
    if (killAt % 2 === 0) expect([killAt, (await finishRestore(state(), process.pid)) !== undefined]).toEqual([killAt, isDecided]);
    else expect([killAt, (await restore()).isFinished]).toEqual([killAt, isDecided]);
    expect([killAt, await standing()]).toEqual([killAt, everything]);
    const kept = readdirSync(stateDir).filter((name) => /\.db\.before-restore-[^-]*$/.test(name));
    expect([killAt, kept.length]).toEqual([killAt, isDecided || killAt % 2 === 1 ? 2 : 0]);
    expect(readdirSync(stateDir).filter((name) => /^restore\.(?:ready|done)$/.test(name))).toEqual([]);
  }
}, 60_000);

it("6: with the stores destroyed, the edge's lists still keep out whom they kept out", async () => {
  await live(1);
  await take();
  await live(2);
  mkdirSync(join(stateDir, "maps"));
  writeFileSync(join(stateDir, "maps", "blocked.map"), `${label(2)} 2026-01-01T00:00:00.000Z\nrubbish\n`);
  writeFileSync(join(stateDir, "maps", "blocked-networks.map"), "198.51.100.0/24 2026-01-01T00:00:00.000Z\n");
  for (const name of ["tokens.db", "sessions.db"]) truncateSync(join(stateDir, name), 3);
  const { plan } = await restore();
  expect([plan.tokens.former, plan.sessions.former]).toEqual(["lost", "lost"]);
  await using sessions = await openSessions();
  expect((await sessions.blocks()).map(({ subject }) => String(subject)).sort()).toEqual(
    [label(1), label(2), "198.51.100.0/24"].map(String).sort(),
  );
  expect(Date.parse(plan.proofsUntil) - Math.floor(Date.parse(plan.restoredAt) / 1000) * 1000).toBe(300_000);
});

/** A backup whose sessions.db or tokens.db somebody has changed, with digests that agree. */
async function alter(store: "tokens" | "sessions", change: (db: Database.Database) => void, more: { mode?: number } = {}): Promise<void> {
  const { manifest } = await checkBackup(file, say);
  const folder = join(dir, "unpacked");
  mkdirSync(folder, { recursive: true });
  spawnSync("tar", ["-xf", file, "-C", folder]);
  const db = new Database(join(folder, `${store}.db`));
  change(db);
  db.close();
  const tar = pack();
  const files = manifest.files.map((each) => {
    const bytes = readFileSync(join(folder, each.name));
    return { ...each, ...more, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  });
  tar.entry({ name: "manifest.json" }, JSON.stringify({ ...manifest, files }));
  for (const { name } of files) tar.entry({ name }, readFileSync(join(folder, name)));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  writeFileSync(file, Buffer.concat(chunks));
}

it.each([
  ["a trigger that takes blocks away", "sessions", "CREATE TRIGGER t AFTER INSERT ON blocks BEGIN DELETE FROM blocks; END"],
  ["a trigger that passes over what is spent", "tokens", "CREATE TRIGGER t BEFORE INSERT ON spent_proofs BEGIN SELECT RAISE(IGNORE); END"],
  [
    "a table that takes no block",
    "sessions",
    "DROP TABLE blocks; CREATE TABLE blocks (subject TEXT NOT NULL PRIMARY KEY CHECK (0), reason TEXT NOT NULL, created_at INTEGER NOT NULL, ends_at INTEGER) STRICT, WITHOUT ROWID",
  ],
  ["a table that is not ours", "tokens", "CREATE TABLE more (id INTEGER)"],
] as const)(
  "6: a backup with %s, which would undo things as it is restored, is none, and nothing is changed for it",
  async (_what, store, sql) => {
    await live(1);
    await take();
    await alter(store, (db) => void db.exec(sql));
    await live(2);
    expect((await faultOf(checkBackup(file, say))).code).toBe("BACKUP_INVALID");
    expect((await faultOf(restore())).code).toBe("BACKUP_INVALID");
    expect(await standing()).toEqual(everything);
  },
);

it("9: a key that a backup would have everybody read is put back for its owner and group alone, and nobody may run it", async () => {
  await live(1);
  const keys = join(stateDir, "keys", "token-hmac");
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  writeFileSync(join(keys, "1-aaaaaaaa.key"), "secret", { mode: 0o600 });
  await take({ withKeys: true });
  await alter("tokens", () => {}, { mode: 0o777 });
  rmSync(join(keys, "1-aaaaaaaa.key"));
  await restore();
  expect((statSync(join(keys, "1-aaaaaaaa.key")).mode & 0o777).toString(8)).toBe("660");
});

it("9: it is told that a backup holds keys exactly when a secret is in it: what verifies the history is in every one", async () => {
  await live(1);
  for (const folder of ["audit-tokens-public", "audit-tokens"]) {
    mkdirSync(join(stateDir, "keys", folder), { recursive: true, mode: 0o700 });
    writeFileSync(join(stateDir, "keys", folder, "1-aaaaaaaa.key"), "a key", { mode: 0o600 });
  }
  const withoutKeys = await take();
  expect([withoutKeys.manifest.files.length, renderBackup(withoutKeys)]).toEqual([3, expect.not.stringContaining("WHOEVER HAS THIS FILE")]);
  expect(renderBackup(await take({ isForced: true, withKeys: true }))).toContain("WHOEVER HAS THIS FILE");
});
