/** A real frps or frpc in a test: its output in an append-only file, as in production, and an end by pid. */
// biome-ignore lint/style/noRestrictedImports: tests run the real binaries.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";

/** A running program. `log` reads what it printed so far. */
export type Child = {
  readonly process: ChildProcess;
  log(): string;
  hasExited(): boolean;
  /** Sends a signal to this very process. */
  signal(name: NodeJS.Signals): void;
  stop(signal?: NodeJS.Signals): Promise<void>;
};

/** Starts a program with an empty environment, or the one that is given. */
export function startChild(
  path: string,
  args: readonly string[],
  options: { readonly logPath: string; readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Child {
  const fd = openSync(options.logPath, "a", 0o600);
  const child = spawn(path, args, { stdio: ["ignore", fd, fd], env: options.env ?? {}, cwd: options.cwd });
  closeSync(fd);
  const exit = once(child, "exit");
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    process: child,
    log: () => readFileSync(options.logPath, "utf8"),
    hasExited,
    signal: (name) => {
      child.kill(name);
    },
    stop: async (signal = "SIGKILL") => {
      if (!hasExited()) child.kill(signal);
      await exit;
    },
  };
}
