/** The supervisor with the real frps: ready by fact, back after a kill, one frps only, and nothing left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deriveFrpsConfig, type FrpBinary, type FrpsSettings, locateBinaries, readStartTime, renderFrpsConfig } from "@keyhole/frp";
import { type Log, type Supervisor, type SupervisorOptions, startSupervisor } from "@keyhole/supervisor";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

let frps: FrpBinary;
let stateDir: string;
let settings: FrpsSettings;
let lines: { component?: string; text: string }[];
let started: Supervisor[];
let children: ChildProcess[];
let orphans: number[];

const write = (fields: object, message: string) => void lines.push({ ...fields, text: message });
const log: Log = { debug: write, info: write, warn: write, error: write };
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
async function startAlone(): Promise<{ parent: ChildProcess; pid: number }> {
  const script = fileURLToPath(new URL("../fixtures/runs-a-supervisor.mjs", import.meta.url));
  const parent = spawn(process.execPath, [script, JSON.stringify({ frps, settings, stateDir })], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(parent);
  const [output] = await once(parent.stdout as NodeJS.ReadableStream, "data");
  const pid = Number(String(output));
  orphans.push(pid);
  return { parent, pid };
}

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
  const { parent, pid } = await startAlone();
  parent.kill("SIGKILL");
  await once(parent, "exit");
  // Each of these requests is a line in frps's log: with a pipe instead of a file the first would kill it.
  for (let count = 0; count < 3; count += 1) expect(await ask(settings.vhostHttpPort)).toBe(404);
  expect(await ask(settings.dashboardPort, "/healthz")).toBe(200);
  expect(readStartTime(pid)).toBeDefined();
});

test("8: the frps of a killed supervisor is ended by its record at the next start, and no other frps is touched", async () => {
  const strangerSettings = await freeSettings();
  const strangerConfig = join(stateDir, "stranger.toml");
  writeFileSync(strangerConfig, renderFrpsConfig(deriveFrpsConfig(strangerSettings)));
  const stranger = spawn(frps.path, ["-c", strangerConfig], { stdio: "ignore", env: {} });
  children.push(stranger);
  await vi.waitUntil(async () => (await ask(strangerSettings.dashboardPort, "/healthz")) === 200, patience);

  const { parent, pid } = await startAlone();
  parent.kill("SIGKILL");
  await once(parent, "exit");
  const supervisor = await start();
  expect(readStartTime(pid)).toBeUndefined();
  expect(lines.filter((line) => line.text.includes(`frps of an earlier run still lives (pid ${pid})`))).toHaveLength(1);
  await supervisor.whenReady();
  expect(supervisor.status()).toMatchObject({ restarts: 0, lastExit: undefined });
  expect(supervisor.status().pid).not.toBe(pid);
  expect(await ask(strangerSettings.dashboardPort, "/healthz")).toBe(200);
  expect(stranger.exitCode).toBeNull();
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
