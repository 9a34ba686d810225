/**
 * Everything that the bench starts, and its end: one folder for every temporary file, one list of processes, one signal.
 * Whatever happens (a fault, Ctrl-C), disposing leaves no process and no file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { findProcessesOf } from "../support/keyhole-process.ts";
import { openTemporaryDirectory } from "../support/temporary-directory.ts";

/** A process of the stage. */
export type StagedProcess = {
  readonly pid: number;
  /** When it was asked for, on the clock of `performance`. */
  readonly startedAt: number;
  readonly output: () => string;
  /** Resolves to the moment at which it had printed the text; rejects with its output when it ends before. */
  saw(text: string): Promise<number>;
  /** Sends the signal and resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
};

/** Where the bench plays. */
export type Stage = AsyncDisposable & {
  /** Every file of the bench lies below it. */
  readonly dir: string;
  readonly signal: AbortSignal;
  /** Starts a process in a folder, without environment. Its command line must name the folder, so that it can be found. */
  start(file: string, args: readonly string[], cwd: string): StagedProcess;
  pause(ms: number): Promise<void>;
};

/** Sets the stage. Temporary files of everything that the bench uses go below its folder. */
export function openStage(signal: AbortSignal): Stage {
  const folder = openTemporaryDirectory();
  process.env["TMPDIR"] = folder.path;
  const running = new Set<StagedProcess>();
  return {
    dir: folder.path,
    signal,
    start(file, args, cwd) {
      signal.throwIfAborted();
      const startedAt = performance.now();
      const child = spawn(file, args, { cwd, env: {}, stdio: ["ignore", "pipe", "pipe"] });
      const staged = watch(child, startedAt);
      running.add(staged);
      child.once("close", () => running.delete(staged));
      return staged;
    },
    async pause(ms) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer);
          reject(signal.reason);
        };
        const timer = setTimeout(() => {
          signal.removeEventListener("abort", stop);
          resolve();
        }, ms);
        signal.addEventListener("abort", stop, { once: true });
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((staged) => staged.end("SIGKILL")));
      for (const { pid } of findProcessesOf(folder.path)) killIfThere(pid);
      folder[Symbol.dispose]();
    },
  };
}

function watch(child: ChildProcess, startedAt: number): StagedProcess {
  let output = "";
  let isGone = false;
  const seekers = new Set<() => void>();
  const look = (): void => {
    for (const seek of [...seekers]) seek();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      output += String(chunk);
      look();
    });
  }
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      isGone = true;
      look();
      resolve();
    };
    child.once("close", end);
    child.once("error", (error) => {
      output += String(error);
      end();
    });
  });
  return {
    pid: child.pid ?? 0,
    startedAt,
    output: () => output,
    saw: (text) =>
      new Promise((resolve, reject) => {
        const seek = (): void => {
          const isThere = output.includes(text);
          if (!isThere && !isGone) return;
          seekers.delete(seek);
          if (isThere) resolve(performance.now());
          else reject(new Error(`it ended before it printed "${text}": ${output.slice(-1000)}`));
        };
        seekers.add(seek);
        seek();
      }),
    async end(signal) {
      if (!isGone) child.kill(signal);
      await gone;
    },
  };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It went by itself.
  }
}
