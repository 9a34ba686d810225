/** The failures that a real frps will not show, by small programs that fail as they are told (test/fixtures). */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type FrpBinary, type FrpsSettings, readProcessRecord, readStartTime, writeProcessRecord } from "@keyhole/frp";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Log } from "./log.ts";
import type { SupervisorStatus } from "./status-board.ts";
import { type Supervisor, type SupervisorOptions, startSupervisor } from "./supervisor.ts";

let stateDir: string;
let settings: FrpsSettings;
let lines: string[];
let started: Supervisor[];
let children: ChildProcess[];

const write = (fields: object, message: string) => void lines.push(`${JSON.stringify(fields)} ${message}`);
const log: Log = { debug: write, info: write, warn: write, error: write };

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "supervisor-"));
  const [bindPort, vhostHttpPort, dashboardPort, hookPort] = await freePorts(4);
  settings = {
    bindPort: bindPort ?? 0,
    vhostHttpPort: vhostHttpPort ?? 0,
    vhostHttpTimeoutSeconds: 60,
    dashboardPort: dashboardPort ?? 0,
    dashboardUser: "keyhole",
    dashboardPassword: "dashboard password",
    hookPort: hookPort ?? 0,
    hookUser: "frps",
    hookPassword: "hook password",
  };
  lines = [];
  started = [];
  children = [];
});

afterEach(async () => {
  for (const supervisor of started) await supervisor.stop();
  for (const child of children) child.kill("SIGKILL");
  rmSync(stateDir, { recursive: true });
});

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

function fixture(name: string): FrpBinary {
  const path = fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url));
  if (!name.endsWith(".mjs")) return withDigest(path);
  const starter = join(stateDir, "starter");
  writeFileSync(starter, `#!/bin/sh\nexec '${process.execPath}' '${path}' "$@"\n`, { mode: 0o755 });
  return withDigest(starter);
}

const withDigest = (path: string): FrpBinary => ({ path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") });

async function start(name: string, options: Partial<SupervisorOptions> = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor({
    frps: fixture(name),
    settings,
    stateDir,
    stopGraceMs: 200,
    now: () => new Date(),
    log,
    ...options,
  });
  started.push(supervisor);
  return supervisor;
}

/** The states from now on, and a way to wait for one that a test names. */
function follow(supervisor: Supervisor) {
  const seen: SupervisorStatus[] = [supervisor.status()];
  supervisor.onState((status) => seen.push(status));
  return {
    seen,
    until: (holds: (status: SupervisorStatus) => boolean) => vi.waitUntil(() => seen.find(holds), { timeout: 15_000, interval: 10 }),
  };
}

/** Something that lives and is recorded as the frps of an earlier run. */
function recordEarlierFrps(): number {
  const child = spawn("/bin/sleep", ["3600"], { stdio: "ignore" });
  children.push(child);
  const pid = child.pid ?? 0;
  writeProcessRecord(join(stateDir, "frps.json"), { pid, digest: "", configHash: "" });
  return pid;
}

test("a frps that crashes at its start is started again and again, and its last words say why", async () => {
  const supervisor = await start("crashes-at-start");
  const { until } = follow(supervisor);
  const crashed = await until((status) => status.state === "backing-off");
  expect(crashed.lastExit).toBe("frps ended with exit code 2; it said: panic: assignment to entry in nil map");
  expect(crashed.pid).toBeUndefined();
  await until((status) => status.restarts >= 3);
  expect(lines.filter((line) => line.includes('"component":"frps"') && line.includes("panic"))).not.toHaveLength(0);
});

test("a frps that flaps (ready, then dead) is started again after longer and longer waits", async () => {
  const supervisor = await start("serves-then-crashes.mjs");
  const { seen, until } = follow(supervisor);
  await until((status) => status.restarts === 4 && status.state === "ready");
  const waits: number[] = [];
  seen.forEach((status, index) => {
    const next = seen[index + 1];
    if (status.state === "backing-off" && next !== undefined) waits.push(next.since.getTime() - status.since.getTime());
  });
  expect(seen.filter((status) => status.state === "ready")).not.toHaveLength(0);
  // A timer may fire a millisecond early; it may be late by any time.
  for (const [index, atLeast] of [99, 199, 399, 799].entries()) expect(waits[index]).toBeGreaterThanOrEqual(atLeast);
  expect(supervisor.status().lastExit).toContain("exit code 3");
});

test("a frps that is deaf to SIGTERM is killed after the grace, and stop resolves when it is gone", async () => {
  const supervisor = await start("deaf-to-sigterm");
  const { pid = 0 } = supervisor.status();
  expect(readStartTime(pid)).toBeDefined();
  await vi.waitUntil(() => lines.some((line) => line.includes("deaf from here on")));
  const first = supervisor.stop();
  expect(supervisor.stop()).toBe(first);
  await first;
  expect(readStartTime(pid)).toBeUndefined();
  expect(supervisor.status()).toMatchObject({ state: "stopped", pid: undefined, lastExit: undefined });
  expect(lines.some((line) => line.includes("frps did not end within 200 ms of SIGTERM and was killed"))).toBe(true);
  expect(readProcessRecord(join(stateDir, "frps.json"))).toBeUndefined();
});

test("a frps that is never ready is ended at the deadline, and started again; the reason says what was missing", async () => {
  const supervisor = await start("hangs", { readyTimeoutMs: 150 });
  const { until } = follow(supervisor);
  const { pid: firstPid = 0 } = supervisor.status();
  const failed = await until((status) => status.state === "backing-off");
  expect(failed.lastExit).toContain("not ready within 150 ms: its dashboard on 127.0.0.1:");
  expect(readStartTime(firstPid)).toBeUndefined();
  const again = await until((status) => status.restarts === 1 && status.state === "draining");
  expect(again.pid).not.toBe(firstPid);
});

test("who waits for readiness is told of the stop", async () => {
  const supervisor = await start("hangs");
  const ready = supervisor.whenReady();
  await Promise.all([expect(ready).rejects.toMatchObject({ code: "FRPS_STOPPED" }), supervisor.stop()]);
  await expect(supervisor.whenReady()).rejects.toMatchObject({ code: "FRPS_STOPPED" });
});

test("a stop while waiting for the next start is the end: nothing is started any more", async () => {
  const supervisor = await start("crashes-at-start");
  const { seen, until } = follow(supervisor);
  await until((status) => status.state === "backing-off" && status.restarts === 2);
  await supervisor.stop();
  expect(seen.at(-1)).toMatchObject({ state: "stopped", restarts: 2 });
});

test("8: a config that frps rejects is told with its words, replaces nothing, and leaves the running frps alone", async () => {
  const pid = recordEarlierFrps();
  writeFileSync(join(stateDir, "frps.toml"), "the working one");
  await expect(start("refuses-every-config")).rejects.toMatchObject({
    code: "FRPS_CONFIG_REJECTED",
    message: expect.stringContaining("bindPrt"),
  });
  expect(readFileSync(join(stateDir, "frps.toml"), "utf8")).toBe("the working one");
  expect(readdirSync(stateDir).sort()).toEqual(["frps.json", "frps.log", "frps.toml"]);
  expect(readStartTime(pid)).toBeDefined();
});

test("8: a binary that is not the recorded one is not started, and leaves the running frps alone", async () => {
  const pid = recordEarlierFrps();
  const frps = { ...fixture("hangs"), sha256: "0".repeat(64) };
  await expect(start("hangs", { frps })).rejects.toMatchObject({ code: "FRP_BINARY_DIGEST" });
  expect(readStartTime(pid)).toBeDefined();
});

test("8: a binary that is exchanged while frps runs is never started; the recorded one is again, once it is back", async () => {
  const path = join(stateDir, "frps");
  const content = readFileSync(fixture("hangs").path);
  writeFileSync(path, content, { mode: 0o755 });
  const supervisor = await start("hangs", { frps: withDigest(path) });
  const { until } = follow(supervisor);
  writeFileSync(path, "#!/bin/sh\nexec /bin/sleep 3600\n");
  process.kill(supervisor.status().pid ?? 0, "SIGKILL");
  const refused = await until((status) => status.lastExit?.includes("is not the file that was recorded") === true);
  expect(refused).toMatchObject({ state: "backing-off", pid: undefined });
  writeFileSync(path, content);
  await vi.waitUntil(() => supervisor.status().pid !== undefined, { timeout: 15_000, interval: 10 });
  expect(supervisor.status().restarts).toBeGreaterThan(refused.restarts);
});

test("8: the recorded frps of an earlier run is ended before a different one is started, and a line says what differs", async () => {
  const pid = recordEarlierFrps();
  const supervisor = await start("hangs");
  expect(readStartTime(pid)).toBeUndefined();
  expect(
    lines.filter((line) => line.includes(`frps of an earlier run (pid ${pid}) is replaced, because these differ: the binary, the config`)),
  ).toHaveLength(1);
  expect(readProcessRecord(join(stateDir, "frps.json"))?.pid).toBe(supervisor.status().pid);
});

test("8: a config that means the same in other words is no reason to replace the frps that runs", async () => {
  const first = await start("hangs");
  const { pid = 0 } = first.status();
  await first.leave();
  const text = `# a comment\n${readFileSync(join(stateDir, "frps.toml"), "utf8")}`;
  writeFileSync(join(stateDir, "frps.toml"), text);
  const configHash = createHash("sha256").update(text).digest("hex");
  writeProcessRecord(join(stateDir, "frps.json"), { pid, digest: fixture("hangs").sha256, configHash });
  const second = await start("hangs");
  expect(second.status()).toMatchObject({ pid, adopted: true, replaced: undefined });
});

test("7: of stop and leave the first counts: what was left is not ended, what was stopped is gone", async () => {
  const left = await start("hangs");
  const { pid = 0 } = left.status();
  children.push({ kill: () => readStartTime(pid) !== undefined && process.kill(pid, "SIGKILL") } as ChildProcess);
  const leaving = left.leave();
  expect(left.leave()).toBe(leaving);
  expect(left.stop()).toBe(leaving);
  await leaving;
  expect(readStartTime(pid)).toBeDefined();
  expect(readProcessRecord(join(stateDir, "frps.json"))?.pid).toBe(pid);
  expect(left.status()).toMatchObject({ state: "stopped", pid: undefined, adopted: false });
  await expect(left.whenReady()).rejects.toMatchObject({ code: "FRPS_STOPPED" });
  const stopped = await start("hangs");
  expect(stopped.status()).toMatchObject({ pid, adopted: true });
  const stopping = stopped.stop();
  expect(stopped.leave()).toBe(stopping);
  await stopping;
  expect(readStartTime(pid)).toBeUndefined();
});

test("7: a frps that is taken over and never ready is killed without a grace, and another is started", async () => {
  const first = await start("deaf-to-sigterm");
  const { pid = 0 } = first.status();
  await first.leave();
  const second = await start("deaf-to-sigterm", { readyTimeoutMs: 150, stopGraceMs: 3_000 });
  const { until } = follow(second);
  const killed = await until((status) => status.state === "backing-off");
  expect(killed.lastExit).toMatch(/^frps was not ready within 150 ms: .*; it was killed$/);
  expect(readStartTime(pid)).toBeUndefined();
  const next = await until((status) => status.restarts === 1 && status.pid !== undefined);
  expect(next).toMatchObject({ adopted: false });
});

test("a port that somebody else holds is named, and frps comes up once it is free", async () => {
  const stranger = createServer().listen(settings.bindPort, "127.0.0.1");
  await once(stranger, "listening");
  const supervisor = await start("serves-then-crashes.mjs");
  const { until } = follow(supervisor);
  const waiting = await until((status) => status.state === "backing-off");
  expect(waiting.lastExit).toContain(`port ${settings.bindPort} on 127.0.0.1 (frps bindPort) is in use by another process`);
  expect(waiting.pid).toBeUndefined();
  await Promise.all([once(stranger.close(), "close"), supervisor.whenReady()]);
});

test("config, record and output are for their owner only", async () => {
  await start("hangs");
  for (const file of ["frps.toml", "frps.json", "frps.log"]) expect(statSync(join(stateDir, file)).mode & 0o777).toBe(0o600);
});

test("frps has an environment of its own: an empty one", async () => {
  await start("tells-its-environment");
  await vi.waitUntil(() => lines.some((line) => line.includes("that was all")));
  const names = lines.flatMap((line) => /} ([A-Za-z_]+)=/.exec(line)?.[1] ?? []);
  // The shell of the fixture adds these by itself.
  expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name))).toEqual([]);
});
