/**
 * A Keyhole whose parts are processes of their own, as on a server: `keyhole edge|token|plugin|supervisor` on one state
 * directory. Any of them can be killed, restarted or frozen alone. With `heldSockets` their listening sockets are held by
 * another process, as systemd's socket units hold them, so that a restart refuses nobody.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createWorld } from "@keyhole/cli";
import { locateBinaries } from "@keyhole/frp";
import { isAlive } from "./alive.ts";
import { type HookRelay, startHookRelay } from "./hook-relay.ts";
import { domain, findProcessesOf, type RunningKeyhole, renderCanary } from "./keyhole-process.ts";
import { type Limits, renderLimits } from "./limits.ts";
import { openTemporaryDirectory } from "./temporary-directory.ts";
import { recordLog, recordStateDirectory } from "./test-record.ts";
import { FactLost, waitForFact } from "./wait-for-fact.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));

/** In the order in which they are started. */
export const parts = ["supervisor", "plugin", "edge", "token"] as const;
export type Part = (typeof parts)[number];

/** Whom a part runs as; all of one group. */
export type User = { readonly uid: number; readonly gid: number };

/** What `keyhole status --json` says. */
export type Status = {
  readonly isWell: boolean;
  readonly parts: readonly {
    readonly part: Part;
    readonly state: "up" | "down" | "silent" | "forbidden";
    readonly status?: { readonly pid: number; readonly facts: Record<string, string | number>; readonly problems: readonly string[] };
  }[];
};

/** Running parts, and what a test does to them. */
export type KeyholeParts = AsyncDisposable &
  RunningKeyhole & {
    pidOf(part: Part): number;
    frpsPid(): number;
    readonly hookRelay: HookRelay;
    /** Everything the part has printed, over all its runs. */
    logOf(part: Part): string;
    /** Starts the part and resolves when it serves its socket. */
    start(part: Part): Promise<void>;
    /** Sends the signal and resolves when the process is gone. */
    end(part: Part, signal: NodeJS.Signals): Promise<void>;
    /** As `systemctl restart` does: TERM, gone, started, serving. */
    restart(part: Part): Promise<void>;
    readStatus(): Status;
  };

/** The listening sockets that can be held, and which part is given which. */
const sockets = ["visitors", "control", "token", "hook"] as const;
type SocketName = (typeof sockets)[number];
const socketsOf: Readonly<Record<Part, readonly SocketName[]>> = {
  edge: ["visitors", "control"],
  token: ["token"],
  plugin: ["hook"],
  supervisor: [],
};

/** Starts all parts, or those named in `only`; `settings` are TOML lines beyond the ports. */
export async function startKeyholeParts(
  options: {
    readonly settings?: string;
    readonly limits?: Limits;
    readonly heldSockets?: boolean;
    /** A relay between frps and the hook, whose socket is held then. */
    readonly hookRelay?: boolean;
    readonly users?: Readonly<Partial<Record<Part, User>>>;
    readonly only?: readonly Part[];
    readonly prepare?: (dir: string, stateDir: string) => void;
  } = {},
): Promise<KeyholeParts> {
  const { frpc } = await locateBinaries({ cacheDir: createWorld().binaryCache, env: process.env });
  const folder = openTemporaryDirectory();
  const dir = folder.path;
  const stateDir = join(dir, "state");
  const configFile = join(dir, "keyhole.toml");
  options.prepare?.(dir, stateDir);
  const held = options.heldSockets === true ? sockets : options.hookRelay === true ? (["hook"] as const) : [];
  const holder = held.length === 0 ? undefined : await startSocketHolder(dir, held);
  const relay = options.hookRelay === true ? await startHookRelay(holder?.ports.get("hook") ?? 0) : undefined;
  const portOf = (name: SocketName): number => holder?.ports.get(name) ?? 0;
  const lines = [
    `domain = "${domain}"`,
    'stateDir = "state"',
    `token.listen = "127.0.0.1:${portOf("token")}"`,
    `control.listen = "127.0.0.1:${portOf("control")}"`,
    `edge.listen = "127.0.0.1:${portOf("visitors")}"`,
    `plugin.listen = "127.0.0.1:${relay?.port ?? portOf("hook")}"`,
    'metrics.listen = "127.0.0.1:0"',
    renderLimits(options.limits),
    renderCanary(options.settings),
    options.settings ?? "",
  ];
  writeFileSync(configFile, `${lines.join("\n")}\n`);
  const pids = new Map<Part, number>();
  const logFile = (part: Part): string => join(dir, `${part}.log`);
  const logOf = (part: Part): string => (existsSync(logFile(part)) ? readFileSync(logFile(part), "utf8") : "");
  const argsOf = (part: Part): string[] => [main, part, "--config", configFile, "--log-level", "debug"];

  /** What a log has beyond so many bytes: a long run's log is megabytes, and this asks again and again. */
  const logBeyond = (part: Part, from: number): string => {
    const file = openSync(logFile(part), "r");
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
      return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, from));
    } finally {
      closeSync(file);
    }
  };

  const start = async (part: Part): Promise<void> => {
    const from = existsSync(logFile(part)) ? statSync(logFile(part)).size : 0;
    const pid = holder === undefined ? spawnPart(part) : await holder.spawn(part, argsOf(part), logFile(part));
    pids.set(part, pid);
    await waitForFact(
      `keyhole ${part} is up`,
      () => {
        if (!isAlive(pid)) throw new FactLost("it is gone");
        return logBeyond(part, from).includes(`keyhole ${part} is up (pid ${pid})`) ? true : undefined;
      },
      { timeoutMs: 30_000, describe: () => logOf(part).slice(-2000) },
    );
  };
  const spawnPart = (part: Part): number => {
    const log = openSync(logFile(part), "a");
    const child = spawn(process.execPath, argsOf(part), {
      cwd: dir,
      env: { PATH: process.env.PATH, ...binariesOf(process.env) },
      stdio: ["ignore", log, log],
      ...options.users?.[part],
    });
    closeSync(log);
    child.unref();
    return child.pid ?? 0;
  };
  const pidOf = (part: Part): number => pids.get(part) ?? 0;
  const end = async (part: Part, signal: NodeJS.Signals): Promise<void> => {
    const pid = pidOf(part);
    if (!isAlive(pid)) return;
    process.kill(pid, signal);
    await waitForFact(`${part} is gone`, () => (isAlive(pid) ? undefined : true), {
      timeoutMs: 20_000,
      describe: () => logOf(part).slice(-2000),
    });
  };
  const frpsPid = (): number => (JSON.parse(readFileSync(join(stateDir, "frps.json"), "utf8")) as { pid: number }).pid;
  const readPort = (key: string): number =>
    (JSON.parse(readFileSync(join(stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> }).ports[key] ?? 0;
  const dispose = async (): Promise<void> => {
    for (const part of [...parts].reverse()) {
      if (isAlive(pidOf(part))) process.kill(pidOf(part), "SIGCONT");
      await end(part, "SIGTERM").catch(() => end(part, "SIGKILL"));
    }
    const stop = [main, "supervisor", "--stop", "--config", configFile];
    const { stdout, stderr } = spawnSync(process.execPath, stop, { cwd: dir, env: { PATH: process.env.PATH }, encoding: "utf8" });
    holder?.end();
    await relay?.[Symbol.asyncDispose]();
    for (const part of parts) recordLog(part, logOf(part));
    recordStateDirectory(stateDir);
    const left = await awaitNobodyLeft(dir);
    for (const { pid } of left) process.kill(pid, "SIGKILL");
    const said = logOf("supervisor").slice(-2000);
    folder[Symbol.dispose]();
    if (left.length === 0) return;
    throw new Error(`left running: ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}; ${stdout}${stderr}${said}`);
  };

  try {
    for (const part of options.only ?? parts) if (part !== "token") await start(part);
    // Last, for it waits for the CA that the edge makes.
    if (options.only === undefined || options.only.includes("token")) await start("token");
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    dir,
    stateDir,
    frpc: frpc.path,
    get edgePort() {
      return readPort("edge.listen");
    },
    get controlPort() {
      return readPort("control.listen");
    },
    pidOf,
    frpsPid,
    get hookRelay() {
      if (relay === undefined) throw new Error("start with hookRelay: true");
      return relay;
    },
    logOf,
    start,
    end,
    async restart(part) {
      await end(part, "SIGTERM");
      await start(part);
    },
    readStatus() {
      const { stdout } = spawnSync(process.execPath, [main, "status", "--json", "--config", configFile], { cwd: dir, encoding: "utf8" });
      return JSON.parse(stdout) as Status;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

const binariesOf = ({ FRPS_BIN, FRPC_BIN }: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...(FRPS_BIN ? { FRPS_BIN } : {}),
  ...(FRPC_BIN ? { FRPC_BIN } : {}),
});

type LeftProcesses = ReturnType<typeof findProcessesOf>;

/** Processes below the folder, once those that are just ending have ended. */
async function awaitNobodyLeft(dir: string): Promise<LeftProcesses> {
  let left = findProcessesOf(dir);
  for (let round = 0; round < 50 && left.length > 0; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    left = findProcessesOf(dir);
  }
  return left;
}

type SocketHolder = {
  readonly ports: ReadonlyMap<SocketName, number>;
  /** Starts a part with its sockets as descriptors 3 and up, and LISTEN_PID its own. Resolves to its pid. */
  spawn(part: Part, args: readonly string[], logFile: string): Promise<number>;
  end(): void;
};

/** A shell that has the listening sockets and accepts nothing on them, as systemd does. */
async function startSocketHolder(dir: string, held: readonly SocketName[]): Promise<SocketHolder> {
  const servers: Server[] = [];
  const descriptors: number[] = [];
  const ports = new Map<SocketName, number>();
  for (const name of held) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, resolve));
    servers.push(server);
    ports.set(name, (server.address() as { port: number }).port);
    descriptors.push((server as unknown as { _handle: { fd: number } })._handle.fd);
  }
  const shell: ChildProcess = spawn("sh", [], {
    cwd: dir,
    env: { PATH: process.env.PATH, ...binariesOf(process.env) },
    stdio: ["pipe", "pipe", "ignore", ...descriptors],
  });
  let said = "";
  shell.stdout?.on("data", (chunk) => (said += String(chunk)));
  shell.stdin?.write("echo holding\n");
  await waitForFact("the sockets are held", () => (said.includes("holding") ? true : undefined));
  // From here on the shell alone has them.
  for (const server of servers) server.close();
  let spawned = 0;
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  return {
    ports,
    async spawn(part, args, logFile) {
      const given = socketsOf[part].filter((name) => held.includes(name));
      spawned += 1;
      const mark = `spawned-${spawned}`;
      // Each is copied down from a descriptor that no earlier copy has overwritten; the rest is closed.
      const redirections = given.map((name, at) => `${3 + at}<&${3 + held.indexOf(name)}`);
      const closed = held
        .map((_, at) => 3 + at)
        .filter((fd) => fd >= 3 + given.length)
        .map((fd) => `${fd}<&-`);
      const command = [process.execPath, ...args].map(quote).join(" ");
      const inner =
        given.length === 0
          ? `exec ${command}`
          : `LISTEN_PID=$$ LISTEN_FDS=${given.length} LISTEN_FDNAMES=${given.join(":")} exec ${command}`;
      shell.stdin?.write(
        `sh -c ${quote(inner)} ${[...redirections, ...closed].join(" ")} >>${quote(logFile)} 2>&1 </dev/null & echo ${mark} $!\n`,
      );
      const pid = await waitForFact("the holder has spawned", () => new RegExp(`${mark} (\\d+)`).exec(said)?.[1]);
      return Number(pid);
    },
    end() {
      shell.stdin?.end();
    },
  };
}
