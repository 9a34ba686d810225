/**
 * Runs a command to its end: `frps -v`, `tar`, `go build`. The one place in this package that spawns; what frps and frpc
 * do as long-lived processes is the business of others. Never throws for what the command does: the outcome says it.
 */
import { spawn } from "node:child_process";

/** How a command ended. `output` is the last part of what it printed on both streams. */
export type Outcome =
  | { readonly kind: "exited"; readonly status: number; readonly output: string }
  | { readonly kind: "killed"; readonly reason: string; readonly output: string }
  | { readonly kind: "not-started"; readonly code: string };

/** The end of a child's output that is kept: enough for a compiler's last words. */
const keptOutput = 8192;

/** Runs one command without a shell. After `timeoutMs` it is killed. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly timeoutMs: number; readonly cwd?: string },
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    let output = "";
    let isLate = false;
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString("utf8")).slice(-keptOutput);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, options.timeoutMs);
    child.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve({ kind: "not-started", code: error.code ?? "UNKNOWN" });
    });
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      if (isLate) resolve({ kind: "killed", reason: `it took longer than ${options.timeoutMs / 1000} s`, output });
      else if (status === null) resolve({ kind: "killed", reason: `it was ended by ${signal}`, output });
      else resolve({ kind: "exited", status, output });
    });
  });
}

/** An outcome in words, for a message: why it was not a success, and the command's last line. */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.kind === "not-started") return outcome.code === "ENOENT" ? "it was not found" : `it did not start (${outcome.code})`;
  const lastLine = outcome.output.trim().split("\n").at(-1)?.trim().slice(0, 300) ?? "";
  const why = outcome.kind === "exited" ? `it ended with status ${outcome.status}` : outcome.reason;
  return lastLine === "" ? why : `${why}: ${lastLine}`;
}
