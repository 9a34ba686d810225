/** `keyhole up|edge|token|plugin|supervisor|status|config`: what runs, and how it is. */
import type { Command } from "commander";
import type { PartName } from "../sockets/socket-path.ts";
import { configOption, jsonOption, logLevelOption } from "./config-option.ts";
import type { PartOptions } from "./part.ts";
import type { UpOptions } from "./up.ts";

/** What `--help` says of each part. */
const partDescriptions: Readonly<Record<PartName, string>> = {
  edge: "the front door for visitors and frpc",
  token: "the public API that issues tokens",
  plugin: "the hook that frps asks, and the live sessions",
  supervisor: "keeps exactly one frps running, which outlives it",
};

/** Adds them. */
export function addRunCommands(program: Command): void {
  program
    .command("up")
    .description("run everything in this process: edge, token service, plugin, and frps under supervision")
    .addOption(configOption())
    .option("--demo", "also serve a demo page at the address of a throwaway wallet")
    .option("--no-demo", "do not (the last of the two counts)")
    .addOption(logLevelOption("how much to log on standard error (default: info, with --demo: warn)"))
    .action(async (options: UpOptions) => {
      const { runUp } = await import("./up.ts");
      await runUp(options);
    });
  for (const [part, description] of Object.entries(partDescriptions) as [PartName, string][]) {
    const command = program
      .command(part)
      .description(`run one part in this process: ${description}`)
      .addOption(configOption())
      .addOption(logLevelOption("how much to log on standard error (default: info)"));
    if (part === "supervisor") command.option("--stop", "end frps, and the supervisor if one runs");
    command.action(async (options: PartOptions) => {
      const { runPart } = await import("./part.ts");
      await runPart(part, options);
    });
    if (part === "token") addTokenInspect(command);
  }
  program
    .command("status")
    .description("one screen: every part, tunnels, rates, blocks, and problems with what to do; exit code 5 when something is wrong")
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (options: { config?: string; json?: boolean }) => {
      const { runStatus } = await import("./status.ts");
      await runStatus(options);
    });
  const config = program.command("config").description("look at the configuration");
  config
    .command("check")
    .description("tell every problem of the configuration, or that there is none")
    .addOption(configOption())
    .action(async (options: { config?: string }) => {
      const { runConfigCheck } = await import("./config.ts");
      runConfigCheck(options);
    });
  config
    .command("show")
    .description("print every setting with the value in force")
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (options: { config?: string; json?: boolean }) => {
      const { runConfigShow } = await import("./config.ts");
      runConfigShow(options);
    });
}

function addTokenInspect(token: Command): void {
  token
    .command("inspect")
    .description("what a credential is, whose, and what a login with it would be told now; exit code 1 when it would be refused")
    .argument("[file]", "a file with a tunnel token, a Vana claim or a Stellar JWT, or a frpc.toml (default: standard input)")
    .addOption(configOption())
    .addOption(jsonOption())
    // The part's own --config is the same flag, and may have taken it.
    .action(async (file: string | undefined, _own: object, command: Command) => {
      const { runTokenInspect } = await import("./token.ts");
      process.exitCode = await runTokenInspect(file, command.optsWithGlobals<{ config?: string; json?: boolean }>());
    });
}
