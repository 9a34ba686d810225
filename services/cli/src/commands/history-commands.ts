/** `keyhole events` and `keyhole audit verify`: what happened, and whether that can be believed. */
import { type Command, Option } from "commander";
import { configOption, jsonOption } from "./config-option.ts";
import { type EventsOptions, parseEventName, parseLimit, parseSince, runEvents } from "./events.ts";

/** Adds them. */
export function addHistoryCommands(program: Command): void {
  program
    .command("events")
    .description("what happened, by time: grants, refusals, sessions, blocks, keys, settings, starts and stops")
    .addOption(configOption())
    .option("-f, --follow", "go on with what comes, until interrupted")
    .option("--address <address>", "only of a wallet: 0x… or G…, or the URL or host of its tunnel")
    .addOption(new Option("--event <name>", "only events of this name, as in token.granted").argParser(parseEventName))
    .addOption(
      new Option("--since <time>", "all since then: 90m, 24h, 7d, or an instant such as 2026-01-31T12:00:00Z").argParser(parseSince),
    )
    .addOption(new Option("--limit <count>", "the newest so many (default: 50, and all with --since)").argParser(parseLimit))
    .option("--json", "as JSON, an event a line")
    .action(async (options: EventsOptions) => {
      process.exitCode = await runEvents(options);
    });
  program
    .command("audit")
    .description("whether the history can be believed")
    .command("verify")
    .description(
      "find any event that was altered, dropped or moved, and any file that was put back as it was; exit code 1 when there is one",
    )
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (options: { config?: string; json?: boolean }) => {
      const { runAuditVerify } = await import("./audit.ts");
      process.exitCode = await runAuditVerify(options);
    });
}
