/** The command line: what there is, what it takes, how it fails. Exit codes: 0 done, 1 failed, 2 wrong usage, 5 degraded, 78 configuration. */
import { Fault } from "@keyhole/core";
import { FrpFault } from "@keyhole/frp";
import { Command, CommanderError, Option } from "commander";
import { runConfigCheck, runConfigShow } from "./commands/config.ts";
import { type PartOptions, runPart } from "./commands/part.ts";
import { runStatus } from "./commands/status.ts";
import { runUp, type UpOptions } from "./commands/up.ts";
import { logLevels } from "./log.ts";
import { type PartName, partNames } from "./sockets/socket-path.ts";

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
    .showHelpAfterError("(keyhole --help tells what there is)")
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
  try {
    await program.parseAsync([...args], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

/** Tells a person what went wrong, in one paragraph and without a stack, unless it is our own mistake. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const code = codeOf(error);
  if (code === undefined) {
    process.stderr.write(`keyhole: unexpected fault\n${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
  process.stderr.write(`keyhole: ${code}: ${(error as Error).message}\n`);
  return code.startsWith("CONFIG_") ? 78 : 1;
}

/** Faults of every package carry a SCREAMING_SNAKE code; Node's own errors carry one that looks alike but has no remedy. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof Fault || error instanceof FrpFault) return error.code;
  const { code, name } = error as { code?: unknown; name?: unknown };
  return error instanceof Error && typeof code === "string" && String(name).endsWith("Fault") ? code : undefined;
}
