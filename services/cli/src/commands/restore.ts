/** `keyhole restore FILE`: puts a backup in place and says what everybody must do now. `--check` only looks at it. */
import { existsSync } from "node:fs";
import { Fault } from "@keyhole/core";
import { countSecretKeys, describeChain, fileOf, storeNames } from "../backup/backup-form.ts";
import { createProgress } from "../backup/progress.ts";
import { type CheckedBackup, checkBackup, type RestoredState, restoreBackup } from "../backup/restore-backup.ts";
import { listKept } from "../backup/restore-swap.ts";
import { loadConfig } from "../config/load-config.ts";
import { createLog } from "../log.ts";
import { openKeptSigner } from "../state/audit-key.ts";
import { openStateDirectory } from "../state/state-directory.ts";
import { createWorld } from "../world.ts";

/** What may be said on the command line. */
export type RestoreOptions = { readonly config?: string; readonly check?: boolean; readonly json?: boolean };

/** Checks or restores, and prints what became of it. */
export async function runRestore(file: string, options: RestoreOptions): Promise<void> {
  const { env, now, pid, randomBytes } = createWorld();
  process.umask(0o007);
  const progress = createProgress(process.stderr);
  try {
    if (options.check === true) {
      const checked = await checkBackup(file, progress.tell);
      progress.end();
      process.stdout.write(options.json === true ? renderCheckedJson(checked) : renderChecked(checked));
      return;
    }
    const config = loadConfig({ file: options.config, cwd: env["INIT_CWD"] ?? process.cwd(), env });
    // On a new machine there is no state yet: it is made as it was.
    const isShared = existsSync(config.stateDir) || (await checkBackup(file, progress.tell)).manifest.isShared;
    const state = openStateDirectory(config.stateDir, isShared ? "shared" : "private");
    const log = createLog({ level: env["KEYHOLE_LOG_LEVEL"] || "error", isPretty: process.stderr.isTTY === true }).component("store");
    const restored = await restoreBackup({
      state,
      file,
      windowSeconds: config["token.timestampWindowSeconds"],
      signerOf: (writer) => openKeptSigner({ state, writer, now, randomBytes, log }),
      now,
      pid,
      log,
      progress: progress.tell,
    });
    progress.end();
    const kept = listKept(state.path, restored.plan.aside);
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ stateDir: state.path, isFinished: restored.isFinished, kept, ...restored.plan }, undefined, 2)}\n`
        : renderRestored(restored, kept, state.path),
    );
  } catch (fault) {
    throw fault instanceof Fault && fault.code === "STATE_LOCKED" ? explainLock(fault) : fault;
  } finally {
    progress.end();
  }
}

const explainLock = (fault: Fault): Fault =>
  new Fault("STATE_LOCKED", `${fault.message} A restore needs the token service and the plugin to be stopped. Nothing was changed.`, {
    cause: fault,
  });

const renderCheckedJson = ({ file, id, manifest }: CheckedBackup): string =>
  `${JSON.stringify({ file, id, isGood: true, ...manifest }, undefined, 2)}\n`;

/** What is in a good backup, for people. */
export function renderChecked({ file, manifest }: CheckedBackup): string {
  const stores = storeNames.flatMap((store) => {
    const facts = manifest.stores[store];
    return facts === undefined ? [] : [`  ${fileOf(store).padEnd(12)} schema ${facts.schema}, ${describeChain(facts)}`];
  });
  return `${[
    `${file} is good: taken ${manifest.takenAt} by Keyhole ${manifest.version}`,
    ...stores,
    `  ${"keys".padEnd(12)} ${countSecretKeys(manifest) ?? "none"}`,
  ].join("\n")}\n`;
}

const formerWords = {
  whole: "all of the file before it was read",
  damaged: "THE FILE BEFORE IT WAS DAMAGED: what could be read of it was read",
  lost: "THE FILE BEFORE IT COULD NOT BE READ",
} as const;

function renderRestored({ plan, isFinished }: RestoredState, kept: readonly string[], stateDir: string): string {
  const lines = [
    `The backup of ${plan.takenAt} is in place in ${stateDir}${isFinished ? " (the restore had been interrupted, and is finished now)" : ""}.`,
    ...storeNames.map(
      (store) => `  ${fileOf(store).padEnd(12)} ${formerWords[plan[store].former]}; carried over: ${describeCarried(plan[store].carried)}`,
    ),
    `  ${"keys".padEnd(12)} ${plan.keys.length === 0 ? "those that were there" : `${plan.keys.length} that were missing were put back: rotate those that had been retired since`}`,
    `  ${"kept aside".padEnd(12)} ${kept.length === 0 ? "nothing, for nothing was there" : kept.join(", ")}`,
    "",
    "Now:",
    "  Start Keyhole again.",
    `  EVERY CLIENT MUST SIGN AGAIN: what was issued before ${plan.notBefore} is refused (TOKEN_REVOKED), and every tunnel of before ends.`,
  ];
  if (plan.tokens.former !== "whole")
    lines.push(
      `  What wallets signed until ${plan.proofsUntil} buys nothing: it may have been spent in what is lost. They sign again after that.`,
    );
  if (plan.sessions.former !== "whole")
    lines.push(
      "  Blocks that were set after the backup are known from the edge's list alone. Look over them: they have no reason and no end.",
    );
  if (plan.sessions.returnedBlocks.length > 0)
    lines.push(
      `  In force again, though the file in force did not know them (lift those that should not be): ${plan.sessions.returnedBlocks.join(", ")}`,
    );
  lines.push("  When all is well, delete what was kept aside.");
  return `${lines.join("\n")}\n`;
}

function describeCarried(carried: Readonly<Record<string, number>>): string {
  const some = Object.entries(carried).filter(([, count]) => count > 0);
  return some.length === 0 ? "nothing was missing" : some.map(([table, count]) => `${count} ${table.replaceAll("_", " ")}`).join(", ");
}
