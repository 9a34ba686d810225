/** One real frpc under supervision, against a real frps: its texts are what we take them for, and it comes back by itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, get, type Server } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Frpc, type FrpcEvent, type FrpcOptions, type Log, startFrpc } from "@keyhole/agent";
import { type FrpBinaries, type FrpsSettings, type HookAnswer, locateBinaries, readStartTime, renderHookAnswer } from "@keyhole/frp";
import { type Supervisor, startSupervisor } from "@keyhole/supervisor";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { recordLog } from "../support/test-record.ts";

const patience = { timeout: 20_000, interval: 10 };
const token = `frp_${"QWxh".repeat(14)}_1764000000_${"ab".repeat(32)}`;
let binaries: FrpBinaries;
let stateDir: string;
let settings: FrpsSettings;
let lines: string[];
let events: FrpcEvent[];
let answers: Record<string, HookAnswer>;
let hook: Server;
let app: Server;
let supervisor: Supervisor;
let started: Frpc[];
let children: ChildProcess[];
let orphans: number[];

const note = (fields: object, message: string) => recordLog("inside", `${JSON.stringify(fields)} ${message}\n`);
const quiet: Log = { debug: note, info: note, warn: note, error: note };
const write = (fields: object, message: string) => {
  lines.push(`${JSON.stringify(fields)} ${message}`);
  note(fields, message);
};
const log: Log = { debug: write, info: write, warn: write, error: write };

beforeAll(async () => {
  const cacheDir = fileURLToPath(new URL("../../.cache/frp", import.meta.url));
  binaries = await locateBinaries({ cacheDir, env: process.env });
});

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "agent-"));
  lines = [];
  events = [];
  answers = {};
  started = [];
  children = [];
  orphans = [];
  hook = createHttpServer((request, response) => {
    const op = new URL(request.url ?? "/", "http://hook").searchParams.get("op") ?? "";
    request.resume().once("end", () => response.end(renderHookAnswer(answers[op] ?? { kind: "keep" })));
  }).listen(0, "127.0.0.1");
  app = createHttpServer((_request, response) => response.end("the app")).listen(0, "127.0.0.1");
  await Promise.all([once(hook, "listening"), once(app, "listening")]);
  const [bindPort = 0, vhostHttpPort = 0, dashboardPort = 0] = await freePorts(3);
  settings = {
    bindPort,
    vhostHttpPort,
    dashboardPort,
    hookPort: portOf(hook),
    vhostHttpTimeoutSeconds: 60,
    dashboardUser: "keyhole",
    dashboardPassword: "dashboard",
    hookUser: "frps",
    hookPassword: "hook",
  };
  supervisor = await startSupervisor({ frps: binaries.frps, settings, stateDir, now: () => new Date(), log: quiet });
  await supervisor.whenReady();
});

afterEach(async () => {
  for (const frpc of started) await frpc.stop();
  await supervisor.stop();
  for (const child of children) child.kill("SIGKILL");
  for (const pid of orphans) if (readStartTime(pid) !== undefined) process.kill(pid, "SIGKILL");
  for (const server of [hook, app]) {
    server.closeAllConnections();
    await once(server.close(), "close");
  }
  rmSync(stateDir, { recursive: true });
});

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

function writeConfig(extra = "loginFailExit = false"): string {
  const path = join(stateDir, "frpc.toml");
  writeFileSync(
    path,
    `serverAddr = "127.0.0.1"
serverPort = ${settings.bindPort}
user = "label"
${extra}
metadatas.token = "${token}"

[[proxies]]
name = "web"
type = "http"
localPort = ${portOf(app)}
customDomains = ["label.test"]
`,
  );
  return path;
}

async function start(options: Partial<FrpcOptions> = {}): Promise<Frpc> {
  const frpc = await startFrpc({
    frpc: binaries.frpc,
    configPath: options.configPath ?? writeConfig(),
    recordPath: join(stateDir, "frpc.json"),
    now: () => new Date(),
    log,
    onEvent: (event) => events.push(event),
    ...options,
  });
  started.push(frpc);
  return frpc;
}

/** What a visitor of the tunnel is answered. */
const visit = (): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port: settings.vhostHttpPort, agent: false, headers: { host: "label.test" } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });

const kinds = () => events.map((event) => event.kind).filter((kind) => kind !== "line");

test("a frpc is connected when its proxy is up: then the app answers; after a stop nothing is left", async () => {
  const frpc = await start();
  await frpc.whenConnected();
  expect(await visit()).toBe("the app");
  expect(kinds()).toEqual(["connected", "proxy-started"]);
  expect(events).toContainEqual({ kind: "proxy-started", proxy: "web" });
  await frpc.whenConnected();
  const { pid = 0 } = frpc;
  await frpc.stop();
  expect(readStartTime(pid)).toBeUndefined();
  expect(kinds()).toEqual(["connected", "proxy-started", "exited"]);
});

test("9: neither run id nor tunnel token of a frpc is in our log", async () => {
  const frpc = await start();
  await frpc.whenConnected();
  expect(lines.some((line) => line.includes("login to server success, get run id […]"))).toBe(true);
  const all = JSON.stringify([lines, events]);
  expect(all).not.toContain(token);
  expect(all).not.toMatch(/\[[0-9a-f]{16}\]/);
});

test("a frpc that is killed is started again and connected again", async () => {
  const frpc = await start();
  await frpc.whenConnected();
  const { pid = 0 } = frpc;
  process.kill(pid, "SIGKILL");
  await vi.waitUntil(() => kinds().includes("exited"), patience);
  await frpc.whenConnected();
  expect(frpc.pid).not.toBe(pid);
  // frps lets go of the name of the proxy when it sees the old connection end.
  await vi.waitUntil(async () => (await visit()) === "the app", patience);
});

test("a frps that dies and is back is a disconnection, and frpc is connected again in the same process", async () => {
  const frpc = await start();
  await frpc.whenConnected();
  const { pid } = frpc;
  process.kill(supervisor.status().pid ?? 0, "SIGKILL");
  await vi.waitUntil(() => kinds().filter((kind) => kind === "proxy-started").length === 2, patience);
  expect(kinds()).toContain("disconnected");
  expect(kinds()).not.toContain("refused");
  expect(kinds()).not.toContain("exited");
  expect(frpc.pid).toBe(pid);
  expect(await visit()).toBe("the app");
});

test("a refused login is told with the server's reason, and frpc goes on asking", async () => {
  answers.Login = { kind: "refuse", reason: "TOKEN_EXPIRED: the token ended. Sign again" };
  const frpc = await start();
  await vi.waitUntil(() => events.some((event) => event.kind === "refused"), patience);
  expect(events).toContainEqual({ kind: "refused", stage: "login", reason: "TOKEN_EXPIRED: the token ended. Sign again" });
  answers = {};
  await frpc.whenConnected();
});

test("a refused login ends a frpc that may not retry: who waits is told the reason, and it is started again", async () => {
  answers.Login = { kind: "refuse", reason: "TOKEN_EXPIRED: the token ended. Sign again" };
  const frpc = await start({ configPath: writeConfig("loginFailExit = true") });
  await expect(frpc.whenConnected()).rejects.toMatchObject({
    code: "TUNNEL_NOT_UP",
    message: "the tunnel is not up: frpc ended (exit code 1): TOKEN_EXPIRED: the token ended. Sign again",
  });
  answers = {};
  await vi.waitUntil(() => kinds().includes("proxy-started"), patience);
});

test("a refused proxy is told with the server's reason", async () => {
  answers.NewProxy = { kind: "refuse", reason: "PROXY_TYPE: only http. Use http" };
  await start();
  await vi.waitUntil(() => events.some((event) => event.kind === "refused"), patience);
  expect(events).toContainEqual({ kind: "refused", stage: "proxy", reason: "PROXY_TYPE: only http. Use http" });
});

test("a config that frpc does not understand is told with its words", async () => {
  const frpc = await start({ configPath: writeConfig('serverPrt = "x"') });
  await expect(frpc.whenConnected()).rejects.toMatchObject({ message: expect.stringContaining('unknown field "serverPrt"') });
});

test("the frpc of a killed parent is ended by its record at the next start", async () => {
  const script = fileURLToPath(new URL("../fixtures/runs-a-frpc.mjs", import.meta.url));
  const options = { frpc: binaries.frpc, configPath: writeConfig(), recordPath: join(stateDir, "frpc.json") };
  const parent = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(parent);
  const [output] = await once(parent.stdout as NodeJS.ReadableStream, "data");
  const pid = Number(String(output));
  orphans.push(pid);
  parent.kill("SIGKILL");
  await once(parent, "exit");
  expect(readStartTime(pid)).toBeDefined();
  const frpc = await start();
  expect(readStartTime(pid)).toBeUndefined();
  expect(lines.filter((line) => line.includes(`frpc of an earlier run still lives (pid ${pid})`))).toHaveLength(1);
  await frpc.whenConnected();
});
