/** `keyhole backup FILE`: both stores in one file, taken while everything runs. Progress goes to standard error. */
import { countSecretKeys, describeChain, fileOf, storeNames } from "../backup/backup-form.ts";
import { createProgress } from "../backup/progress.ts";
import { type TakenBackup, takeBackup } from "../backup/take-backup.ts";
import { loadConfig } from "../config/load-config.ts";
import { openStateDirectory, requireStateDirectory } from "../state/state-directory.ts";
import { createWorld } from "../world.ts";

/** What may be said on the command line. */
export type BackupOptions = { readonly config?: string; readonly withKeys?: boolean; readonly force?: boolean; readonly json?: boolean };

/** Takes it and prints what is in it. */
export async function runBackup(file: string, options: BackupOptions): Promise<void> {
  const { env, now, version } = createWorld();
  process.umask(0o077);
  const config = loadConfig({ file: options.config, cwd: env["INIT_CWD"] ?? process.cwd(), env });
  requireStateDirectory(config.stateDir);
  const state = openStateDirectory(config.stateDir, "shared");
  const progress = createProgress(process.stderr);
  try {
    const isForced = options.force === true;
    const taken = await takeBackup({ state, file, withKeys: options.withKeys === true, isForced, version, now, progress: progress.tell });
    progress.end();
    process.stdout.write(options.json === true ? renderJson(taken) : renderBackup(taken));
  } finally {
    progress.end();
  }
}

const renderJson = ({ file, id, bytes, manifest }: TakenBackup): string =>
  `${JSON.stringify({ file, id, bytes, hasKeys: countSecretKeys(manifest) !== undefined, ...manifest }, undefined, 2)}\n`;

/** What is in it, for people. */
export function renderBackup({ file, bytes, manifest }: TakenBackup): string {
  const lines = [`${file}  ${bytes} bytes, taken ${manifest.takenAt}, read again and found good`];
  for (const store of storeNames) {
    const facts = manifest.stores[store];
    const size = manifest.files.find(({ name }) => name === fileOf(store))?.size;
    lines.push(
      facts === undefined
        ? `  ${fileOf(store).padEnd(12)} is not there: nothing has ever been recorded in it`
        : `  ${fileOf(store).padEnd(12)} ${size} bytes, ${describeChain(facts)}`,
    );
  }
  const keys = countSecretKeys(manifest);
  if (keys !== undefined) {
    lines.push(`  ${"keys".padEnd(12)} ${keys}`);
    lines.push("! It holds the keys: WHOEVER HAS THIS FILE CAN MAKE TOKENS FOR EVERY WALLET. Encrypt it before it leaves this machine.");
  } else lines.push(`  ${"keys".padEnd(12)} none (with --with-keys those that are there); a restore keeps what it finds`);
  return `${lines.join("\n")}\n`;
}
