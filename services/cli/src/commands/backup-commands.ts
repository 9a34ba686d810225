/** `keyhole backup` and `keyhole restore`. */
import type { Command } from "commander";
import type { BackupOptions } from "./backup.ts";
import { configOption, jsonOption } from "./config-option.ts";
import type { RestoreOptions } from "./restore.ts";

/** Adds them. */
export function addBackupCommands(program: Command): void {
  program
    .command("backup")
    .description("copy both stores into one file, while everything runs; it is read again and checked")
    .argument("<file>", "it must not be there yet")
    .addOption(configOption())
    .option("--with-keys", "the keys too: whoever has the file can then make tokens for every wallet")
    .option("--force", "replace a file that is there")
    .addOption(jsonOption())
    .action(async (file: string, options: BackupOptions) => {
      const { runBackup } = await import("./backup.ts");
      await runBackup(file, options);
    });
  program
    .command("restore")
    .description("put a backup in place; no revocation, block or spent proof is undone, and every client signs again")
    .argument("<file>", "what keyhole backup has written")
    .addOption(configOption())
    .option("--check", "only tell whether the backup is good; changes nothing")
    .addOption(jsonOption())
    .action(async (file: string, options: RestoreOptions) => {
      const { runRestore } = await import("./restore.ts");
      await runRestore(file, options);
    });
}
