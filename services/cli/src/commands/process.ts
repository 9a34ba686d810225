/** What every command that goes on until a signal begins with: the configuration, the log, and how it is told to stop. */
import { isDeepStrictEqual } from "node:util";
import { Fault } from "@keyhole/core";
import { loadConfig } from "../config/load-config.ts";
import type { Config } from "../config/settings.ts";
import { createLog, type Log } from "../log.ts";
import { createWorld, type World } from "../world.ts";

/** What may be said to any of them on the command line. */
export type ProcessOptions = { readonly config?: string; readonly logLevel?: string };

/** A process that has begun. */
export type Process = {
  readonly world: World;
  readonly config: Config;
  readonly component: (name: string) => Log;
  /** Aborted when the process is to stop. */
  readonly stop: AbortController;
  /** Resolves to why. */
  readonly stopped: Promise<string>;
};

/** Begins a process. */
export function openProcess(options: ProcessOptions, defaultLevel: "info" | "warn"): Process {
  const { env, ...others } = createWorld();
  // What others of the group need is given to them file by file; nothing is for everybody.
  process.umask(0o007);
  const cwd = process.env["INIT_CWD"] ?? process.cwd();
  const load = (): Config => loadConfig({ file: options.config, cwd, env });
  const config = load();
  const world: World = { ...others, env, isConfigOutdated: () => isOutdated(config, load) };
  const level = options.logLevel ?? (env["KEYHOLE_LOG_LEVEL"] || defaultLevel);
  // A terminal that is closed sends SIGHUP and takes no more words: neither may keep us from stopping in order.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const { component } = createLog({ level, isPretty: process.stderr.isTTY === true });
  const stop = new AbortController();
  return { world, config, component, stop, stopped: waitForStop(stop) };
}

/** What cannot be loaded any more is another configuration too: the next start would not take it. */
function isOutdated(config: Config, load: () => Config): boolean {
  try {
    return !isDeepStrictEqual(load(), config);
  } catch {
    return true;
  }
}

/** The fault as it is told: where a port is to be changed, in the file that was given with `--config`. */
export function nameConfigFile(fault: unknown, { config }: ProcessOptions): unknown {
  if (config === undefined || !(fault instanceof Fault) || fault.code !== "PORT_BUSY") return fault;
  return new Fault(
    fault.code,
    fault.message.replace(/\bkeyhole\.toml\b/, () => config),
    { cause: fault },
  );
}

/** A terminal and npm may both pass one signal on; only a later one is somebody who has lost patience. */
const sameSignalMs = 1000;

/** Aborts with the first SIGINT, SIGTERM or SIGHUP, and resolves to it, or to the reason of somebody else's abort. */
function waitForStop(stop: AbortController): Promise<string> {
  return new Promise((resolve) => {
    stop.signal.addEventListener("abort", () => resolve(String(stop.signal.reason)));
    let firstAt = Number.POSITIVE_INFINITY;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        firstAt = Math.min(firstAt, performance.now());
        if (performance.now() - firstAt > sameSignalMs)
          process.stderr.write("keyhole: still stopping; kill -9 ends it at once, and the next start cleans up.\n");
        stop.abort(name);
      });
    }
  });
}
