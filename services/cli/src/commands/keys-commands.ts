/** `keyhole keys list|rotate|retire`: the keys that make tokens and tickets. */
import { Argument, type Command, Option } from "commander";
import { type KeyPurpose, keyPurposes } from "../state/key-rotation.ts";
import { configOption } from "./config-option.ts";
import { listKeysOfAll, openKeysContext, parseOverlap, retireKeyOf, rotateKeysOf } from "./keys.ts";

/** Adds them. */
export function addKeysCommands(program: Command): void {
  const keys = program.command("keys").description("the keys that make tokens and tickets: list, rotate and retire them, at any time");
  keys
    .command("list")
    .description("every key: what it is for, since when, and what it does now")
    .addOption(configOption())
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
    .addOption(configOption())
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
    .addOption(configOption())
    .option("--now", "let it verify no more either: what it made is refused from now on")
    .action((id: string, options: { config?: string; now?: boolean }) => retireKeyOf(openKeysContext(options), id, options));
}
