/**
 * The command line: what there is, what it takes, how it fails. Exit codes: `exit-codes.ts`. A command loads what it needs
 * and no more, for an order of an operator should be over in less than a second.
 */
import { Command, CommanderError } from "commander";
import { exitCodes } from "./exit-codes.ts";

/** Who adds the commands of these names. All are asked for help, and after a name that there is not. */
const groups: readonly { readonly names: readonly string[]; readonly load: () => Promise<(program: Command) => void> }[] = [
  {
    names: ["up", "edge", "token", "plugin", "supervisor", "status", "config"],
    load: async () => (await import("./commands/run-commands.ts")).addRunCommands,
  },
  {
    names: ["sessions", "revoke", "block", "unblock", "blocks", "identity"],
    load: async () => (await import("./commands/operator-commands.ts")).addOperatorCommands,
  },
  { names: ["keys"], load: async () => (await import("./commands/keys-commands.ts")).addKeysCommands },
  { names: ["events", "audit"], load: async () => (await import("./commands/history-commands.ts")).addHistoryCommands },
  { names: ["backup", "restore"], load: async () => (await import("./commands/backup-commands.ts")).addBackupCommands },
];

/** Runs one command line (without `node` and the script's name). Resolves to the exit code; never rejects. */
export async function runProgram(args: readonly string[], version: string): Promise<number> {
  const program = new Command("keyhole")
    .description("Gives every wallet its own public HTTPS address, through stock frp.")
    .version(version, "-V, --version", "print the version")
    .exitOverride()
    // What stands behind an unknown flag may have been meant as a secret.
    .configureOutput({ outputError: (text, write) => write(hideSecrets(text)) })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      "after",
      "\nExit codes: 0 done; 1 failed; 2 wrong usage; 3 there is no such thing; 4 you may not ask; 5 degraded, or recorded and not yet enforced; 78 the configuration, or what no restart mends.",
    );
  const asked = groups.filter(({ names }) => names.includes(args[0] ?? ""));
  for (const { load } of asked.length > 0 ? asked : groups) (await load())(program);
  nameHelp(program, program.name());
  try {
    await program.parseAsync([...args], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

/** What was typed where nothing of the kind belongs may be a credential. */
const hideSecrets = (text: string): string =>
  text
    .replace(/(option '--?[\w-]+)=[^\n]*(?=')/, "$1")
    .replace(/(but got \d+): [^\n]*/, "$1.")
    .replace(/\bfrp_[\w-]+|\bey[\w-]+\.[\w.-]+/g, "…");

/** After a mistake each command names its own `--help`. */
function nameHelp(command: Command, name: string): void {
  command.showHelpAfterError(`(${name} --help tells what there is)`);
  for (const each of command.commands) nameHelp(each, `${name} ${each.name()}`);
}

/** A flag for a secret would show it to every user of the machine. */
const secretFlag = /unknown option '--?[a-z-]*(?:secret|password|token|key|credential|signature|seed)/i;

/** Tells a person what went wrong, in one paragraph and without a stack, unless it is our own mistake. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (secretFlag.test(error.message))
      process.stderr.write(
        "keyhole: secrets are no flags, for everybody could read them in the list of processes: they are files and credentials.\n",
      );
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  const code = codeOf(error);
  if (code === undefined) {
    process.stderr.write(`keyhole: unexpected fault\n${error instanceof Error ? error.stack : String(error)}\n`);
    return exitCodes.failed;
  }
  process.stderr.write(`keyhole: ${code}: ${(error as Error).message}\n`);
  if (code === "BACKUP_MISSING") return exitCodes.notFound;
  return lastingFault.test(code) ? exitCodes.configuration : exitCodes.failed;
}

/** Of faults that a restart meets again until somebody mends something (EX_CONFIG of sysexits.h). */
const lastingFault = /^(?:CONFIG_|KEYS_UNREADABLE$|STORE_CORRUPT$|STORE_NEWER$|FRP_BINARY_(?:DIGEST|VERSION)$)/;

/** Faults of every package carry a SCREAMING_SNAKE code; Node's own errors carry one that looks alike but has no remedy. */
function codeOf(error: unknown): string | undefined {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return error instanceof Error && typeof code === "string" && String(name).endsWith("Fault") ? code : undefined;
}
