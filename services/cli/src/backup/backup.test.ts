import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { renderBackup } from "../commands/backup.ts";
import { renderChecked } from "../commands/restore.ts";
import {
  dir,
  everything,
  faultOf,
  file,
  label,
  live,
  openSessions,
  openTokens,
  restore,
  say,
  standing,
  state,
  stateDir,
  take,
} from "./backup-scene-for-tests.ts";
import { checkBackup } from "./restore-backup.ts";
import { finishRestore } from "./restore-swap.ts";

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
