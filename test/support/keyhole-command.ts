/** A command of `keyhole` that ends by itself, run as an operator runs it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));

/** What it printed, and its exit code. */
export type CommandResult = { readonly code: number | null; readonly out: string; readonly err: string };

/** Runs it on the configuration of a test's Keyhole. */
export function runKeyhole({ dir }: { readonly dir: string }, ...args: readonly string[]): CommandResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, "--config", join(dir, "keyhole.toml")], {
    cwd: dir,
    env: { PATH: process.env.PATH },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { code: status, out: stdout, err: stderr };
}
