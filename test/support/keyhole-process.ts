/**
 * A whole Keyhole in a process of its own, as an operator runs it: `keyhole up --config FILE` on a temporary state
 * directory, every port chosen by itself. What it leaves behind is checked when it goes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Limits, renderLimits } from "./limits.ts";
import { openTemporaryDirectory } from "./temporary-directory.ts";
import { recordLog, recordStateDirectory } from "./test-record.ts";
import { FactLost, waitForFact } from "./wait-for-fact.ts";

/** Domain of every e2e test. */
export const domain = "tunnel.localhost";
const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));

/** What `ready.json` says. */
type Ready = {
  pid: number;
  urls: { token: string; edge: string; control: string; metrics: string };
  binaries: { frps: string; frpc: string };
};

/** What a client and a visitor need of a running Keyhole, in one process or in several. */
export type RunningKeyhole = {
  /** Everything of the test lies below it. */
  readonly dir: string;
  readonly stateDir: string;
  readonly edgePort: number;
  readonly controlPort: number;
  /** The stock frpc. */
  readonly frpc: string;
};

/** A running Keyhole, and what a test does to it. */
export type KeyholeProcess = AsyncDisposable &
  RunningKeyhole & {
    readonly ready: Ready;
    /** Everything it has printed so far, both streams. */
    readonly output: () => string;
    readonly frpsPid: () => number;
    /** Sends the signal and resolves to the exit code (null when the signal ended it) once it is gone. */
    end(signal: NodeJS.Signals): Promise<number | null>;
    /** Starts it again on the same state directory. */
    restart(): Promise<void>;
  };

/** A test counts its own sessions and requests: the canary is there only where it is asked for. */
export const renderCanary = (settings = ""): string => (settings.includes("canary.") ? "" : "canary.enabled = false");

/** Starts one. `settings` are TOML lines beyond the ports; limits that are not named are wide. */
export async function startKeyholeProcess(
  options: {
    readonly settings?: string;
    readonly limits?: Limits;
    readonly args?: readonly string[];
    /** A descriptor that its standard error is; then `output` has none of it. */
    readonly standardError?: number;
  } = {},
): Promise<KeyholeProcess> {
  const folder = openTemporaryDirectory();
  const dir = folder.path;
  const stateDir = join(dir, "state");
  const configFile = join(dir, "keyhole.toml");
  mkdirSync(stateDir);
  const listens = ["token", "control", "edge", "metrics"].map((section) => `${section}.listen = "127.0.0.1:0"`).join("\n");
  writeFileSync(
    configFile,
    `domain = "${domain}"\nstateDir = "state"\n${listens}\n${renderLimits(options.limits)}\n${renderCanary(options.settings)}\n${options.settings ?? ""}\n`,
  );

  let child: ChildProcess | undefined;
  let output = "";
  let ready: Ready | undefined;

  async function start(): Promise<void> {
    const running = spawn(process.execPath, [main, "up", "--config", configFile, "--log-level", "debug", ...(options.args ?? [])], {
      cwd: dir,
      env: { PATH: process.env.PATH },
      stdio: ["ignore", "pipe", options.standardError ?? "pipe"],
    });
    child = running;
    for (const stream of [running.stdout, running.stderr]) {
      stream?.on("data", (chunk) => {
        output += String(chunk);
        recordLog("keyhole", String(chunk));
      });
    }
    const file = join(stateDir, "ready.json");
    ready = await waitForFact(
      "keyhole is ready",
      () => {
        if (running.exitCode !== null) throw new FactLost(`it exited with ${running.exitCode}`);
        const found = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Ready) : undefined;
        return found?.pid === running.pid ? found : undefined;
      },
      { timeoutMs: 30_000, describe: () => output.slice(-3000) },
    );
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const running = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return running?.exitCode ?? null;
    recordStateDirectory(stateDir);
    const exited = new Promise<number | null>((resolve) => running.once("exit", resolve));
    running.kill(signal);
    return await exited;
  }

  try {
    await start();
  } catch (error) {
    await end("SIGKILL");
    folder[Symbol.dispose]();
    throw error;
  }
  const portOf = (url: string): number => Number(new URL(url.replace("{label}", "x").replace("tcp:", "http:")).port);
  return {
    dir,
    stateDir,
    get ready() {
      return ready as Ready;
    },
    get edgePort() {
      return portOf((ready as Ready).urls.edge);
    },
    get controlPort() {
      return portOf((ready as Ready).urls.control);
    },
    get frpc() {
      return (ready as Ready).binaries.frpc;
    },
    output: () => output,
    frpsPid: () => (JSON.parse(readFileSync(join(stateDir, "frps.json"), "utf8")) as { pid: number }).pid,
    end,
    restart: start,
    async [Symbol.asyncDispose]() {
      await end("SIGTERM");
      recordStateDirectory(stateDir);
      const left = findProcessesOf(dir);
      for (const { pid } of left) process.kill(pid, "SIGKILL");
      folder[Symbol.dispose]();
      if (left.length > 0)
        throw new Error(`left running: ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}\n${output.slice(-3000)}`);
    },
  };
}

/** Living processes whose command line or working directory is below a folder (Linux). */
export function findProcessesOf(dir: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      if (command.includes(dir) && Number(pid) !== process.pid) found.push({ pid: Number(pid), command });
    } catch {
      // It is gone meanwhile.
    }
  }
  return found;
}
