/** One `keyhole …` command to its end, as somebody types it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningKeyhole } from "./keyhole-process.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));

/** What came of it. `ms` is all of it, Node's start too. */
export type CommandRun = { readonly code: number | null; readonly stdout: string; readonly stderr: string; readonly ms: number };

/** Runs a command on the configuration of this Keyhole. Never rejects. */
export function runKeyhole(
  keyhole: Pick<RunningKeyhole, "dir">,
  args: readonly string[],
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<CommandRun> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [main, ...args, "--config", join(keyhole.dir, "keyhole.toml")], {
    cwd: keyhole.dir,
    env: { PATH: process.env.PATH, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    ...user,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr, ms: performance.now() - startedAt }));
  });
}
