/**
 * The command line: what there is, what it takes, how it fails. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 there is
 * none, 5 degraded, 78 what no restart mends: the configuration, a key file, a store of another version or damaged.
 */
import { Fault } from "@keyhole/core";
import { FrpFault } from "@keyhole/frp";
import { Argument, Command, CommanderError, Option } from "commander";
import { runAuditVerify } from "./commands/audit.ts";
import { type BackupOptions, runBackup } from "./commands/backup.ts";
import { runConfigCheck, runConfigShow } from "./commands/config.ts";
import { type EventsOptions, parseAddress, parseEventName, parseLimit, parseSince, runEvents } from "./commands/events.ts";
import { listKeysOfAll, openKeysContext, parseOverlap, retireKeyOf, rotateKeysOf } from "./commands/keys.ts";
import { type PartOptions, runPart } from "./commands/part.ts";
import { type RestoreOptions, runRestore } from "./commands/restore.ts";
import { runStatus } from "./commands/status.ts";
import { runTokenInspect } from "./commands/token.ts";
import { runUp, type UpOptions } from "./commands/up.ts";
import { logLevels } from "./log.ts";
import { type PartName, partNames } from "./sockets/socket-path.ts";
import { type KeyPurpose, keyPurposes } from "./state/key-rotation.ts";

/** What `--help` says of each part. */
const partDescriptions: Readonly<Record<PartName, string>> = {
  edge: "the front door for visitors and frpc",
  token: "the public API that issues tokens",
  plugin: "the hook that frps asks, and the live sessions",
  supervisor: "keeps exactly one frps running, which outlives it",
};

const logLevelOption = (description: string): Option => new Option("--log-level <level>", description).choices([...logLevels]);

/** Runs one command line (without `node` and the script's name). Resolves to the exit code; never rejects. */
export async function runProgram(args: readonly string[], version: string): Promise<number> {
  const program = new Command("keyhole")
    .description("Gives every wallet its own public HTTPS address, through stock frp.")
    .version(version, "-V, --version", "print the version")
    .exitOverride()
    // What stands behind an unknown flag may have been meant as a secret.
    .configureOutput({ outputError: (text, write) => write(hideSecrets(text)) })
    .configureHelp({ showGlobalOptions: true });
  const configOption = new Option("-c, --config <file>", "configuration file (default: keyhole.toml here, else the built-in settings)");
  program
    .command("up")
    .description("run everything in this process: edge, token service, plugin, and frps under supervision")
    .addOption(configOption)
    .option("--demo", "also serve a demo page at the address of a throwaway wallet")
    .option("--no-demo", "do not (the last of the two counts)")
    .addOption(logLevelOption("how much to log on standard error (default: info, with --demo: warn)"))
    .action((options: UpOptions) => runUp(options));
  for (const part of partNames) {
    const command = program
      .command(part)
      .description(`run one part in this process: ${partDescriptions[part]}`)
      .addOption(configOption)
      .addOption(logLevelOption("how much to log on standard error (default: info)"));
    if (part === "supervisor") command.option("--stop", "end frps, and the supervisor if one runs");
    command.action((options: PartOptions) => runPart(part, options));
    if (part === "token") addTokenInspect(command, configOption);
  }
  program
    .command("status")
    .description("ask every part how it is; exit code 5 when something is wrong")
    .addOption(configOption)
    .option("--json", "as JSON")
    .action(runStatus);
  const config = program.command("config").description("look at the configuration");
  config
    .command("check")
    .description("tell every problem of the configuration, or that there is none")
    .addOption(configOption)
    .action(runConfigCheck);
  config
    .command("show")
    .description("print every setting with the value in force")
    .addOption(configOption)
    .option("--json", "as JSON")
    .action(runConfigShow);
  addKeysCommands(program, configOption);
  addHistoryCommands(program, configOption);
  addBackupCommands(program, configOption);
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

function addKeysCommands(program: Command, configOption: Option): void {
  const keys = program.command("keys").description("the keys that make tokens and tickets: list, rotate and retire them, at any time");
  keys
    .command("list")
    .description("every key: what it is for, since when, and what it does now")
    .addOption(configOption)
    .option("--json", "as JSON")
    .action((options: { config?: string; json?: boolean }) => {
      process.exitCode = listKeysOfAll(openKeysContext(options), options);
    });
  keys
    .command("rotate")
    .description("make a new key; those before it verify until everything that they made has ended")
    .addArgument(
      new Argument("[purpose]", "only this one; audit is both that sign events (default: all)").choices([...keyPurposes, "audit"]),
    )
    .addOption(configOption)
    .addOption(
      new Option(
        "--overlap <time>",
        "how long the keys before it verify, as in 90m, 24h or 30d; 10s to 366d (default: the life of tokens and an hour, at least 25h; tickets 30d)",
      ).argParser(parseOverlap),
    )
    .action((purpose: KeyPurpose | "audit" | undefined, options: { config?: string; overlap?: number }) =>
      rotateKeysOf(openKeysContext(options), purpose, options),
    );
  keys
    .command("retire")
    .description("let a key mint no more; it verifies until everything that it made has ended")
    .argument("<id>", "as keys list tells it")
    .addOption(configOption)
    .option("--now", "let it verify no more either: what it made is refused from now on")
    .action((id: string, options: { config?: string; now?: boolean }) => retireKeyOf(openKeysContext(options), id, options));
}

function addTokenInspect(token: Command, configOption: Option): void {
  token
    .command("inspect")
    .description("what a credential is, whose, and what a login with it would be told now; exit code 1 when it would be refused")
    .argument("[file]", "a file with a tunnel token, a Vana claim or a Stellar JWT, or a frpc.toml (default: standard input)")
    .addOption(configOption)
    .option("--json", "as JSON")
    // The part's own --config is the same flag, and may have taken it.
    .action(async (file: string | undefined, _own: object, command: Command) => {
      process.exitCode = await runTokenInspect(file, command.optsWithGlobals<{ config?: string; json?: boolean }>());
    });
}

function addHistoryCommands(program: Command, configOption: Option): void {
  program
    .command("events")
    .description("what happened, by time: grants, refusals, sessions, blocks, keys, settings, starts and stops")
    .addOption(configOption)
    .option("-f, --follow", "go on with what comes, until interrupted")
    .addOption(new Option("--address <address>", "only of this wallet").argParser(parseAddress))
    .addOption(new Option("--event <name>", "only events of this name, as in token.granted").argParser(parseEventName))
    .addOption(
      new Option("--since <time>", "all since then: 90m, 24h, 7d, or an instant such as 2026-01-31T12:00:00Z").argParser(parseSince),
    )
    .addOption(new Option("--limit <count>", "the newest so many (default: 50, and all with --since)").argParser(parseLimit))
    .option("--json", "as JSON, an event a line")
    .action((options: EventsOptions) => runEvents(options));
  program
    .command("audit")
    .description("whether the history can be believed")
    .command("verify")
    .description(
      "find any event that was altered, dropped or moved, and any file that was put back as it was; exit code 1 when there is one",
    )
    .addOption(configOption)
    .option("--json", "as JSON")
    .action(async (options: { config?: string; json?: boolean }) => {
      process.exitCode = await runAuditVerify(options);
    });
}

function addBackupCommands(program: Command, configOption: Option): void {
  program
    .command("backup")
    .description("copy both stores into one file, while everything runs; it is read again and checked")
    .argument("<file>", "it must not be there yet")
    .addOption(configOption)
    .option("--with-keys", "the keys too: whoever has the file can then make tokens for every wallet")
    .option("--force", "replace a file that is there")
    .option("--json", "as JSON")
    .action((file: string, options: BackupOptions) => runBackup(file, options));
  program
    .command("restore")
    .description("put a backup in place; no revocation, block or spent proof is undone, and every client signs again")
    .argument("<file>", "what keyhole backup has written")
    .addOption(configOption)
    .option("--check", "only tell whether the backup is good; changes nothing")
    .option("--json", "as JSON")
    .action((file: string, options: RestoreOptions) => runRestore(file, options));
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
    return error.exitCode === 0 ? 0 : 2;
  }
  const code = codeOf(error);
  if (code === undefined) {
    process.stderr.write(`keyhole: unexpected fault\n${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
  process.stderr.write(`keyhole: ${code}: ${(error as Error).message}\n`);
  if (code === "BACKUP_MISSING") return 3;
  return lastingFault.test(code) ? 78 : 1;
}

/** Of faults that a restart meets again until somebody mends something (EX_CONFIG of sysexits.h). */
const lastingFault = /^(?:CONFIG_|KEYS_UNREADABLE$|STORE_CORRUPT$|STORE_NEWER$|FRP_BINARY_(?:DIGEST|VERSION)$)/;

/** Faults of every package carry a SCREAMING_SNAKE code; Node's own errors carry one that looks alike but has no remedy. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof Fault || error instanceof FrpFault) return error.code;
  const { code, name } = error as { code?: unknown; name?: unknown };
  return error instanceof Error && typeof code === "string" && String(name).endsWith("Fault") ? code : undefined;
}
