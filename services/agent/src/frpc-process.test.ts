/** The failures that a real frpc will not show, by small programs that fail as they are told (test/fixtures). */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type FrpBinary, readProcessRecord, readStartTime, writeProcessRecord } from "@keyhole/frp";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FrpcEvent } from "./frpc-event.ts";
import { type Frpc, type FrpcOptions, startFrpc } from "./frpc-process.ts";
import type { Log } from "./log.ts";

let folder: string;
let configPath: string;
let recordPath: string;
let lines: string[];
let events: FrpcEvent[];
let started: Frpc[];
let children: ChildProcess[];

const write = (fields: object, message: string) => void lines.push(`${JSON.stringify(fields)} ${message}`);
const log: Log = { debug: write, info: write, warn: write, error: write };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "agent-"));
  configPath = join(folder, "frpc.toml");
  recordPath = join(folder, "frpc.json");
  writeFileSync(configPath, "");
  lines = [];
  events = [];
  started = [];
  children = [];
});

afterEach(async () => {
  for (const frpc of started) await frpc.stop();
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

function fixture(name: string): FrpBinary {
  const path = fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url));
  return { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

async function start(name: string, options: Partial<FrpcOptions> = {}): Promise<Frpc> {
  const frpc = await startFrpc({
    frpc: fixture(name),
    configPath,
    recordPath,
    stopGraceMs: 200,
    now: () => new Date(),
    log,
    onEvent: (event) => events.push(event),
    ...options,
  });
  started.push(frpc);
  return frpc;
}

const exits = () => events.flatMap((event) => (event.kind === "exited" ? [event] : []));

test("a frpc that crashes is started again after longer and longer waits, and who waits for it is told why", async () => {
  const frpc = await start("crashes-at-start");
  await expect(frpc.whenConnected()).rejects.toMatchObject({
    code: "TUNNEL_NOT_UP",
    message: expect.stringContaining("panic: assignment to entry in nil map"),
  });
  await vi.waitUntil(() => exits().length >= 4, { timeout: 10_000 });
  expect(
    exits()
      .map(({ restartInMs }) => restartInMs)
      .slice(0, 4),
  ).toEqual([100, 200, 400, 800]);
});

test("a frpc that is deaf to SIGTERM is killed after the grace, and stop resolves when it is gone", async () => {
  const frpc = await start("deaf-to-sigterm");
  const { pid = 0 } = frpc;
  await vi.waitUntil(() => lines.some((line) => line.includes("deaf from here on")));
  expect(readProcessRecord(recordPath)?.pid).toBe(pid);
  expect(statSync(recordPath).mode & 0o777).toBe(0o600);
  const first = frpc.stop();
  expect(frpc.stop()).toBe(first);
  await first;
  expect(readStartTime(pid)).toBeUndefined();
  expect(frpc.pid).toBeUndefined();
  expect(readProcessRecord(recordPath)).toBeUndefined();
  expect(exits()).toEqual([{ kind: "exited", reason: expect.stringContaining("SIGKILL") }]);
});

test("a frpc that is killed is told from one that is stopped, and started again", async () => {
  const frpc = await start("hangs");
  const { pid = 0 } = frpc;
  process.kill(pid, "SIGKILL");
  await vi.waitUntil(() => frpc.pid !== undefined && frpc.pid !== pid);
  expect(exits()).toEqual([{ kind: "exited", reason: "frpc ended (signal SIGKILL)", restartInMs: 100 }]);
});

test("a run that lasted makes the next failure count as the first", async () => {
  let clockMs = 0;
  const frpc = await start("hangs", { now: () => new Date(clockMs) });
  for (const [ranMs, restartInMs] of [
    [0, 100],
    [9_999, 200],
    [10_000, 100],
  ] as const) {
    await vi.waitUntil(() => frpc.pid !== undefined);
    const count = exits().length;
    clockMs += ranMs;
    process.kill(frpc.pid ?? 0, "SIGKILL");
    await vi.waitUntil(() => exits().length > count);
    expect(exits().at(-1)?.restartInMs).toBe(restartInMs);
  }
});

test("who waits for the tunnel is told of the stop", async () => {
  const frpc = await start("hangs");
  const connected = frpc.whenConnected();
  await Promise.all([expect(connected).rejects.toMatchObject({ code: "TUNNEL_NOT_UP" }), frpc.stop()]);
  await expect(frpc.whenConnected()).rejects.toMatchObject({ code: "TUNNEL_NOT_UP" });
});

test("a stop while waiting for the next start is the end at once", async () => {
  const frpc = await start("crashes-at-start");
  await vi.waitUntil(() => exits().length >= 3, { timeout: 10_000 });
  const count = exits().length;
  await frpc.stop();
  expect(frpc.pid).toBeUndefined();
  expect(exits().length - count).toBeLessThanOrEqual(1);
});

test("the recorded frpc of an earlier run is ended before another is started", async () => {
  const child = spawn("/bin/sleep", ["3600"], { stdio: "ignore" });
  children.push(child);
  const pid = child.pid ?? 0;
  writeProcessRecord(recordPath, { pid, digest: "", configHash: "" });
  const frpc = await start("hangs");
  expect(readStartTime(pid)).toBeUndefined();
  expect(readProcessRecord(recordPath)?.pid).toBe(frpc.pid);
});

test("a binary that is not the recorded one is not started", async () => {
  await expect(start("hangs", { frpc: { ...fixture("hangs"), sha256: "0".repeat(64) } })).rejects.toMatchObject({
    code: "FRP_BINARY_DIGEST",
  });
});

test("a config that cannot be read is told at once", async () => {
  await expect(start("hangs", { configPath: join(folder, "missing.toml") })).rejects.toMatchObject({ code: "CONFIG_UNREADABLE" });
});

test("frpc has an environment of its own, an empty one, and runs in the folder of its config", async () => {
  await start("tells-its-environment");
  await vi.waitUntil(() => lines.some((line) => line.includes("that was all")));
  const variables = lines.flatMap((line) => /} ([A-Za-z_]+=.*)/.exec(line)?.[1] ?? []);
  expect(variables).toContain(`PWD=${folder}`);
  // The shell of the fixture adds these by itself.
  expect(variables.filter((variable) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(variable))).toEqual([]);
});

test("a listener that fails does not end the supervision", async () => {
  const frpc = await start("crashes-at-start", {
    onEvent(event) {
      events.push(event);
      throw new Error("listener");
    },
  });
  await vi.waitUntil(() => exits().length >= 2, { timeout: 10_000 });
  await frpc.stop();
});
