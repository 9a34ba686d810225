/**
 * The only spawn of frps. It outlives its supervisor by design (DESIGN.md §1), so: a session and process group of its own,
 * no pipe (a dead reader's pipe kills frps by SIGPIPE at its next log line), output appended to a file that may be
 * truncated under it (O_APPEND: the next line goes to the new end), and an empty environment (frp renders `{{ .Envs.X }}`
 * from it, and Go's HTTP client would send hook calls through a proxy named there).
 */
import { spawn } from "node:child_process";
import { closeSync, constants, fchmodSync, openSync } from "node:fs";

/** Appends, and follows no link: whoever may write the folder must not choose what frps writes to. */
export const appendOwn = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/** How a run ended: by itself (`code`), by a signal, or it never began (`error`). All empty: nobody told, it was adopted. */
export type FrpsEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly error: Error | undefined };

/** A running frps. `pid` is undefined when it could not be started; then `ended` says why. */
export type FrpsProcess = {
  readonly pid: number | undefined;
  readonly ended: Promise<FrpsEnd>;
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** From here on nothing of ours waits for its end, and it goes on without us. */
  release(): void;
};

/** Starts frps in `stateDir` on the config, its output appended to the log file (0600). Returns at once. */
export function spawnFrps(options: { frpsPath: string; configPath: string; logPath: string; stateDir: string }): FrpsProcess {
  const output = openSync(options.logPath, appendOwn, 0o600);
  try {
    fchmodSync(output, 0o600);
    const child = spawn(options.frpsPath, ["-c", options.configPath], {
      cwd: options.stateDir,
      detached: true,
      env: {},
      stdio: ["ignore", output, output],
    });
    // Nothing of ours waits for frps to end, unless a stop is under way (`signal`).
    child.unref();
    const ended = new Promise<FrpsEnd>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal, error: undefined }));
      child.on("error", (error) => {
        if (child.pid === undefined) resolve({ code: null, signal: null, error });
      });
    });
    const signal = (name: "SIGTERM" | "SIGKILL"): void => {
      child.ref();
      child.kill(name);
    };
    return { pid: child.pid, ended, signal, release: () => child.unref() };
  } finally {
    closeSync(output);
  }
}

/** The end of a run, in words for a person. */
export function describeEnd(end: FrpsEnd): string {
  if (end.error !== undefined) return `frps could not be started: ${end.error.message}`;
  if (end.signal !== null) return `frps was ended by ${end.signal}`;
  if (end.code !== null) return `frps ended with exit code ${end.code}`;
  return "frps ended (how is not known: an earlier supervisor had started it)";
}
