/**
 * An operator at the command line, while everything around it dies: an order is given again until it is acknowledged, as a
 * person would do it. Exit code 0: enforced; 5: recorded, and enforced when the plugin is back.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { KeyholeParts } from "../support/keyhole-parts.ts";
import { awaitInstant } from "./await-instant.ts";
import { now, type OrderAnswer, type Tell } from "./history.ts";

const main = fileURLToPath(new URL("../../services/cli/src/main.ts", import.meta.url));
const againMs = 300;
/** An order that nobody has taken by then is a broken promise. */
const patienceMs = 60_000;
const enforced = 0;
const recorded = 5;

/** What is ordered of a wallet. */
type WalletOrder = Exclude<OrderAnswer["what"], "owner-revoke">;

export type Operator = {
  /** Resolves when it is acknowledged, or the run is over. */
  order(what: WalletOrder, label: string): Promise<void>;
  /** Makes a backup; the newest one is what `restore` puts in place. */
  backUp(): Promise<void>;
  /** Puts the newest backup in place; `killAfterMs`: the first try is killed by then. Token service and plugin must be down. False: there is no backup. */
  restore(killAfterMs: number | undefined): Promise<boolean>;
};

/** Sits down. */
export function openOperator(keyhole: KeyholeParts, options: { readonly tell: Tell; readonly signal: AbortSignal }): Operator {
  const { tell, signal } = options;
  const backup = join(keyhole.dir, "backup.keyhole");

  function run(args: readonly string[], killAfterMs?: number): Promise<{ readonly code: number | null; readonly output: string }> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [main, ...args, "--config", join(keyhole.dir, "keyhole.toml")], {
        cwd: keyhole.dir,
        env: { PATH: process.env.PATH },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
      const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMs);
      child.once("close", (code) => {
        clearTimeout(timer);
        resolve({ code, output });
      });
    });
  }

  /** Resolves to the exit code; undefined when the run was over first. */
  async function insist(args: readonly string[], good: readonly number[], label?: string): Promise<number | undefined> {
    const startedAt = now();
    while (!signal.aborted) {
      const { code, output } = await run(args);
      if (code !== null && good.includes(code)) return code;
      if (now() > startedAt + patienceMs) {
        const detail = `keyhole ${args.join(" ")} was not taken within ${patienceMs / 1000} s: exit code ${code}: ${output.slice(-600)}`;
        tell({ kind: "broken-promise", at: now(), ...(label === undefined ? {} : { label }), detail });
        return undefined;
      }
      await awaitInstant(now() + againMs, signal);
    }
    return undefined;
  }

  return {
    async order(what, label) {
      const args = what === "kick" ? ["sessions", "kick", label] : [what, label];
      const askedAt = now();
      tell({ kind: "order-asked", at: askedAt, label, what });
      // Nobody there to be kicked, or no block to be lifted, is an answer too.
      const code = await insist(args, what === "kick" || what === "unblock" ? [enforced, recorded, 3] : [enforced, recorded], label);
      if (code === undefined) return;
      tell({ kind: "order-answered", at: now(), askedAt, label, what, isEnforced: code === enforced });
    },
    async backUp() {
      await insist(["backup", backup, "--force"], [0]);
    },
    async restore(killAfterMs) {
      if (!existsSync(backup)) return false;
      const startedAt = now();
      if (killAfterMs !== undefined) await run(["restore", backup], killAfterMs);
      if ((await insist(["restore", backup], [0])) === undefined) return false;
      tell({ kind: "restored", at: now(), startedAt });
      return true;
    },
  };
}
