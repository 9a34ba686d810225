/** The supervisor with the real frps: ready by fact, back after a kill, one frps only, and nothing left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  deriveFrpsConfig,
  type FrpBinary,
  type FrpsSettings,
  locateBinaries,
  readProcessRecord,
  readStartTime,
  renderFrpsConfig,
} from "@keyhole/frp";
import { endFrps, type Log, type Supervisor, type SupervisorOptions, startSupervisor } from "@keyhole/supervisor";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { recordLog } from "../support/test-record.ts";

let frps: FrpBinary;
let stateDir: string;
let settings: FrpsSettings;
let lines: { level: string; component?: string; text: string }[];
let started: Supervisor[];
let children: ChildProcess[];
let orphans: number[];

const write = (level: string) => (fields: object, message: string) => {
  lines.push({ ...fields, level, text: message });
  recordLog("inside", `${JSON.stringify({ level, ...fields, message })}\n`);
};
const log: Log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
const warnings = () => lines.filter(({ level, component }) => component === "supervisor" && level === "warn").map(({ text }) => text);
const patience = { timeout: 15_000, interval: 10 };

beforeAll(async () => {
  const cacheDir = fileURLToPath(new URL("../../.cache/frp", import.meta.url));
  ({ frps } = await locateBinaries({ cacheDir, env: process.env }));
});

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "supervisor-"));
  settings = await freeSettings();
  lines = [];
  started = [];
  children = [];
  orphans = [];
});

afterEach(async () => {
  for (const supervisor of started) await supervisor.stop();
  for (const child of children) child.kill("SIGKILL");
  for (const pid of orphans) if (readStartTime(pid) !== undefined) process.kill(pid, "SIGKILL");
  rmSync(stateDir, { recursive: true });
});

async function freeSettings(): Promise<FrpsSettings> {
  const servers = Array.from({ length: 4 }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const [bindPort = 0, vhostHttpPort = 0, dashboardPort = 0, hookPort = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return {
    bindPort,
    vhostHttpPort,
    dashboardPort,
    hookPort,
    vhostHttpTimeoutSeconds: 60,
    dashboardUser: "keyhole",
    dashboardPassword: "dashboard",
    hookUser: "frps",
    hookPassword: "hook",
  };
}

async function start(options: Partial<SupervisorOptions> = {}): Promise<Supervisor> {
  const supervisor = await startSupervisor({ frps, settings, stateDir, now: () => new Date(), log, ...options });
  started.push(supervisor);
  return supervisor;
}

/** The status that a path has on a loopback port; undefined when nobody answers. */
const ask = (port: number, path = "/"): Promise<number | undefined> =>
  new Promise((resolve) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (response) => resolve(response.resume().statusCode)).on("error", () =>
      resolve(undefined),
    );
  });

const isListening = (port: number, host = "127.0.0.1"): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1_000 });
    const answer = (verdict: boolean): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.once("connect", () => answer(true));
    for (const event of ["error", "timeout"]) socket.once(event, () => answer(false));
  });

const listening = (host?: string) =>
  Promise.all([settings.bindPort, settings.vhostHttpPort, settings.dashboardPort].map((port) => isListening(port, host)));

/** A supervisor in a process of its own; gives that process and the pid of its frps. */
async function startAlone(script = "runs-a-supervisor.mjs"): Promise<{ parent: ChildProcess; pid: number }> {
  const path = fileURLToPath(new URL(`../fixtures/${script}`, import.meta.url));
  const parent = spawn(process.execPath, [path, JSON.stringify({ frps, settings, stateDir })], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(parent);
  const [output] = await once(parent.stdout as NodeJS.ReadableStream, "data");
  const pid = Number(String(output));
  orphans.push(pid);
  return { parent, pid };
}

/** A frps whose supervisor was killed; gives its pid. */
async function startOrphan(): Promise<number> {
  const { parent, pid } = await startAlone();
  parent.kill("SIGKILL");
  await once(parent, "exit");
  return pid;
}

const recordPath = () => join(stateDir, "frps.json");

test("10: when frps is said to be ready it answers on all its ports, on loopback only; after a stop nothing is left", async () => {
  const supervisor = await start();
  await supervisor.whenReady();
  const { pid = 0, state, restarts, lastExit } = supervisor.status();
  expect({ state, restarts, lastExit }).toEqual({ state: "ready", restarts: 0, lastExit: undefined });
  expect(await ask(settings.dashboardPort, "/healthz")).toBe(200);
  expect(await ask(settings.vhostHttpPort)).toBe(404);
  expect(await listening()).toEqual([true, true, true]);
  // Another address of the loopback interface reaches who listens on every address, and nobody else.
  expect(await listening("127.0.0.2")).toEqual([false, false, false]);
  await vi.waitUntil(() => lines.some((line) => line.component === "frps" && line.text === "frps started successfully"), patience);
  await supervisor.stop();
  expect(readStartTime(pid)).toBeUndefined();
  expect(await listening()).toEqual([false, false, false]);
  expect(supervisor.status()).toMatchObject({ state: "stopped", pid: undefined, lastExit: undefined });
});

test("7: a frps that is killed is started again and ready at once, and the reason is told", async () => {
  const supervisor = await start();
  await supervisor.whenReady();
  for (const restarts of [1, 2]) {
    const { pid = 0 } = supervisor.status();
    const killedAt = performance.now();
    process.kill(pid, "SIGKILL");
    await vi.waitUntil(() => supervisor.status().state !== "ready", patience);
    await supervisor.whenReady();
    expect(performance.now() - killedAt).toBeLessThan(2_000);
    expect(supervisor.status()).toMatchObject({ state: "ready", restarts, lastExit: "frps was ended by SIGKILL" });
    expect(supervisor.status().pid).not.toBe(pid);
    expect(await ask(settings.vhostHttpPort)).toBe(404);
  }
});

test("a frps whose output file is truncated lives, and what it says afterwards is heard", async () => {
  const supervisor = await start();
  await supervisor.whenReady();
  const { pid } = supervisor.status();
  await vi.waitUntil(() => lines.some((line) => line.text === "frps started successfully"), patience);
  const path = join(stateDir, "frps.log");
  truncateSync(path, 0);
  for (const name of ["first", "second"]) {
    await ask(settings.vhostHttpPort, `/${name}`);
    await vi.waitUntil(() => lines.some((line) => line.text.includes(`/${name}`)), patience);
  }
  expect(supervisor.status()).toMatchObject({ state: "ready", pid, restarts: 0 });
  expect(statSync(path).size).toBeGreaterThan(0);
});

test("7: a supervisor that is killed takes no frps with it: it goes on serving, and logging to nobody", async () => {
  const pid = await startOrphan();
  // Each of these requests is a line in frps's log: with a pipe instead of a file the first would kill it.
  for (let count = 0; count < 3; count += 1) expect(await ask(settings.vhostHttpPort)).toBe(404);
  expect(await ask(settings.dashboardPort, "/healthz")).toBe(200);
  expect(readStartTime(pid)).toBeDefined();
});

test("7: the frps of a killed supervisor is taken over: the same process, no connection of it touched, and not one request failed", async () => {
  const { parent, pid } = await startAlone();
  const client = connect(settings.bindPort, "127.0.0.1");
  await once(client, "connect");
  const answers: (number | undefined)[] = [];
  const visits = new AbortController();
  const visiting = (async () => {
    while (!visits.signal.aborted) answers.push(await ask(settings.vhostHttpPort, "/meanwhile"));
  })();
  parent.kill("SIGKILL");
  await once(parent, "exit");
  const supervisor = await start();
  await supervisor.whenReady();
  expect(supervisor.status()).toMatchObject({ state: "ready", pid, adopted: true, restarts: 0, lastExit: undefined, replaced: undefined });
  visits.abort();
  await visiting;
  expect(new Set(answers)).toEqual(new Set([404]));
  expect(client.closed).toBe(false);
  client.destroy();
  expect(warnings()).toEqual([]);
  await ask(settings.vhostHttpPort, "/afterwards");
  await vi.waitUntil(() => lines.some(({ text }) => text.includes("/afterwards")), patience);
  await supervisor.stop();
  expect(readStartTime(pid)).toBeUndefined();
  expect(readProcessRecord(recordPath())).toBeUndefined();
});

test("what frps said before it was taken over is not said again", async () => {
  await startOrphan();
  await ask(settings.vhostHttpPort, "/unheard");
  await vi.waitUntil(() => readFileSync(join(stateDir, "frps.log"), "utf8").includes("/unheard"), patience);
  await start();
  await ask(settings.vhostHttpPort, "/heard");
  await vi.waitUntil(() => lines.some(({ text }) => text.includes("/heard")), patience);
  expect(lines.some(({ text }) => text.includes("/unheard") || text.includes("frps started successfully"))).toBe(false);
});

test("7: a frps whose output file was removed is taken over, heard where it writes, and one line says so", async () => {
  const pid = await startOrphan();
  rmSync(join(stateDir, "frps.log"));
  const supervisor = await start();
  await supervisor.whenReady();
  expect(supervisor.status()).toMatchObject({ pid, adopted: true });
  expect(warnings()).toEqual([expect.stringContaining(`no longer ${join(stateDir, "frps.log")}`)]);
  await ask(settings.vhostHttpPort, "/heard");
  await vi.waitUntil(() => lines.some(({ text }) => text.includes("/heard")), patience);
  process.kill(pid, "SIGKILL");
  await vi.waitUntil(() => supervisor.status().restarts === 1 && supervisor.status().state === "ready", patience);
  expect(existsSync(join(stateDir, "frps.log"))).toBe(true);
});

test("8: a frps with another config is replaced, the keys that differ are named and no value, and no other frps is touched", async () => {
  const strangerSettings = await freeSettings();
  const strangerConfig = join(stateDir, "stranger.toml");
  writeFileSync(strangerConfig, renderFrpsConfig(deriveFrpsConfig(strangerSettings)));
  const stranger = spawn(frps.path, ["-c", strangerConfig], { stdio: "ignore", env: {} });
  children.push(stranger);
  await vi.waitUntil(async () => (await ask(strangerSettings.dashboardPort, "/healthz")) === 200, patience);

  const pid = await startOrphan();
  const { dashboardPort } = await freeSettings();
  settings = { ...settings, dashboardPort, hookPassword: "another secret" };
  const supervisor = await start();
  expect(readStartTime(pid)).toBeUndefined();
  await supervisor.whenReady();
  const replaced = "httpPlugins[0].addr, webServer.port";
  expect(supervisor.status()).toMatchObject({ adopted: false, replaced, restarts: 0, lastExit: undefined });
  expect(supervisor.status().pid).not.toBe(pid);
  expect(warnings()).toEqual([`frps of an earlier run (pid ${pid}) is replaced, because these differ: ${replaced}`]);
  expect(JSON.stringify(lines)).not.toContain("secret");
  expect(await ask(strangerSettings.dashboardPort, "/healthz")).toBe(200);
  expect(stranger.exitCode).toBeNull();
});

test("8: a frps of another binary is replaced; of one whose config file is gone no more is said than that it differs", async () => {
  const pid = await startOrphan();
  const record = readProcessRecord(recordPath());
  writeFileSync(recordPath(), JSON.stringify({ ...record, digest: "0".repeat(64) }));
  const first = await start();
  expect(readStartTime(pid)).toBeUndefined();
  expect(first.status()).toMatchObject({ adopted: false, replaced: "the binary" });
  await first.whenReady();
  orphans.push(first.status().pid ?? 0);
  await first.leave();
  rmSync(join(stateDir, "frps.toml"));
  settings = { ...settings, hookPassword: "another" };
  const second = await start();
  expect(second.status().replaced).toBe("the config (which keys is not known: its file is gone)");
});

test("8: a stranger who has the recorded pid, and another start time, is never touched", async () => {
  const stranger = spawn("/bin/sleep", ["3600"], { stdio: "ignore" });
  children.push(stranger);
  const configHash = createHash("sha256")
    .update(renderFrpsConfig(deriveFrpsConfig(settings)))
    .digest("hex");
  writeFileSync(recordPath(), JSON.stringify({ pid: stranger.pid, startTime: "another boot/1", digest: frps.sha256, configHash }));
  expect(await endFrps({ stateDir, log })).toEqual({ kind: "none" });
  const supervisor = await start();
  await supervisor.whenReady();
  expect(supervisor.status()).toMatchObject({ adopted: false, replaced: undefined });
  expect(supervisor.status().pid).not.toBe(stranger.pid);
  await supervisor.stop();
  expect([stranger.exitCode, stranger.signalCode]).toEqual([null, null]);
});

test("7: a frps that was taken over and is killed is started again, and the reason is told", async () => {
  const pid = await startOrphan();
  const supervisor = await start();
  await supervisor.whenReady();
  process.kill(pid, "SIGKILL");
  await vi.waitUntil(() => supervisor.status().restarts === 1 && supervisor.status().state === "ready", patience);
  expect(supervisor.status()).toMatchObject({ adopted: false, lastExit: expect.stringContaining("how is not known") });
  expect(await ask(settings.vhostHttpPort)).toBe(404);
});

test.each(["started", "taken over"])(
  "7: a frozen frps that was %s is killed when it has not answered for a while, and started again",
  async (how) => {
    if (how === "taken over") await startOrphan();
    const supervisor = await start({ healthIntervalMs: 250, healthMisses: 4, stopGraceMs: 60_000 });
    await supervisor.whenReady();
    const { pid = 0, adopted } = supervisor.status();
    expect(adopted).toBe(how === "taken over");
    process.kill(pid, "SIGSTOP");
    await vi.waitUntil(() => supervisor.status().restarts === 1 && supervisor.status().state === "ready", patience);
    expect(readStartTime(pid)).toBeUndefined();
    expect(supervisor.status().lastExit).toBe("frps did not answer for 1 s and was killed");
    expect(warnings()).toContain("frps did not answer for 1 s and was killed");
    expect(await ask(settings.vhostHttpPort)).toBe(404);
  },
);

test("7: a frps that is frozen when a supervisor comes is killed once it had its time to answer, and replaced", async () => {
  const pid = await startOrphan();
  process.kill(pid, "SIGSTOP");
  const supervisor = await start({ readyTimeoutMs: 1_000, stopGraceMs: 60_000 });
  expect(supervisor.status().pid).toBe(pid);
  await supervisor.whenReady();
  expect(readStartTime(pid)).toBeUndefined();
  expect(supervisor.status()).toMatchObject({ adopted: false, restarts: 1, lastExit: expect.stringContaining("not ready within 1000 ms") });
});

test("7: to leave frps is to leave nothing else: it serves, the process ends by itself, and the next supervisor takes it over", async () => {
  const { parent, pid } = await startAlone("supervisor-leaves.mjs");
  const [code] = parent.exitCode === null ? await once(parent, "exit") : [parent.exitCode];
  expect(code).toBe(0);
  expect(await ask(settings.vhostHttpPort)).toBe(404);
  expect(readProcessRecord(recordPath())?.pid).toBe(pid);
  const supervisor = await start();
  await supervisor.whenReady();
  expect(supervisor.status()).toMatchObject({ pid, adopted: true });
});

test("7: a start that is left right away leaves its frps, with its record", async () => {
  const first = await start();
  const { pid = 0 } = first.status();
  orphans.push(pid);
  await first.leave();
  expect(readProcessRecord(recordPath())?.pid).toBe(pid);
  const second = await start();
  await second.whenReady();
  expect(second.status()).toMatchObject({ pid, adopted: true });
});

test("8: two starts, one after the other or at once, never make two frps", async () => {
  const pid = await startOrphan();
  const supervisors = await Promise.all([start(), start()]);
  await Promise.all(supervisors.map((supervisor) => supervisor.whenReady()));
  const third = await start();
  await third.whenReady();
  expect([...supervisors, third].map((supervisor) => supervisor.status().pid)).toEqual([pid, pid, pid]);
  // Only one of them may end it, or the others would start it again.
  await Promise.all(supervisors.map((supervisor) => supervisor.leave()));
});

test("a frps that nobody supervises is ended by its record: by TERM, by KILL when frozen, and nothing is done when none runs", async () => {
  const pid = await startOrphan();
  expect(await endFrps({ stateDir, log })).toEqual({ kind: "ended", pid });
  expect(readStartTime(pid)).toBeUndefined();
  expect(await endFrps({ stateDir, log })).toEqual({ kind: "none" });
  const frozen = await startOrphan();
  process.kill(frozen, "SIGSTOP");
  expect(await endFrps({ stateDir, graceMs: 100, log })).toEqual({ kind: "killed", pid: frozen });
  expect(await listening()).toEqual([false, false, false]);
});

test("a port that somebody holds is named, and frps is ready once it is free", async () => {
  const stranger = createServer().listen(settings.vhostHttpPort, "127.0.0.1");
  await once(stranger, "listening");
  const supervisor = await start();
  expect(supervisor.status()).toMatchObject({
    state: "backing-off",
    lastExit: `port ${settings.vhostHttpPort} on 127.0.0.1 (frps vhostHttpPort) is in use by another process: end that process, or give frps another port`,
  });
  await Promise.all([once(stranger.close(), "close"), supervisor.whenReady()]);
});

test("frps's own words for a busy port are recognised", async () => {
  const stranger = createServer().listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const { port } = stranger.address() as AddressInfo;
  try {
    for (const key of ["bindPort", "vhostHttpPort", "dashboardPort"] as const) {
      // The real frps with a config that the supervisor does not know of: so the port is found by frps, not by our look before.
      const config = join(stateDir, "other.toml");
      writeFileSync(config, renderFrpsConfig(deriveFrpsConfig({ ...settings, [key]: port })));
      const path = join(stateDir, "starter");
      writeFileSync(path, `#!/bin/sh\n[ "$1" = verify ] && exit 0\nexec '${frps.path}' -c '${config}'\n`, { mode: 0o755 });
      const supervisor = await start({ frps: { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") } });
      await vi.waitUntil(() => supervisor.status().lastExit?.includes(`port ${port} on 127.0.0.1 (a port of frps) is in use`), patience);
      await supervisor.stop();
    }
  } finally {
    await once(stranger.close(), "close");
  }
});
