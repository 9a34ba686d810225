import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { pack } from "tar-stream";
import { expect, it } from "vitest";
import { dir, everything, faultOf, file, live, restore, say, standing, stateDir, take } from "./backup-scene-for-tests.ts";
import { checkBackup } from "./restore-backup.ts";

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
