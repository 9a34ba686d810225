/** `keyhole sessions|revoke|block|unblock|blocks|identity`: what an operator sees and orders. */
import { type Command, InvalidArgumentError } from "commander";
import { configOption, jsonOption } from "./config-option.ts";
import { parseDuration } from "./duration.ts";
import type { BlockOptions } from "./give-order.ts";
import type { OperatorOptions } from "./operator-context.ts";
import type { ListOptions } from "./show-sessions.ts";

const wallet = "a wallet: 0x… or G…, or the URL or host of its tunnel";

/** Adds them. */
export function addOperatorCommands(program: Command): void {
  const sessions = program.command("sessions").description("who is there now");
  add(sessions, "list", "every session that lives, the newest first")
    .option("--address <address>", `only those of ${wallet}`)
    .option("--limit <count>", "how many, 1 to 1000 (default: 100)", parseLimit)
    .action(async (options: ListOptions) => {
      process.exitCode = await (await import("./show-sessions.ts")).listSessions(options);
    });
  add(sessions, "show", "everything about one session")
    .argument("<id>", `its id, as the list tells it, or ${wallet}`)
    .action(async (id: string, options: OperatorOptions) => {
      process.exitCode = await (await import("./show-sessions.ts")).showSession(id, options);
    });
  add(sessions, "kick", "end a session; its client may log in again (not recorded while the plugin is away: exit code 5)")
    .argument("<id>", `its id, as the list tells it, or ${wallet}`)
    .addHelpText(
      "after",
      "\nExit codes: 0 it is out; 5 nobody was kicked (the plugin is away), or not yet (the edge is); 3 there is no such session; 4 you may not ask; 2 wrong usage; 1 nothing was done.",
    )
    .action(async (id: string, options: OperatorOptions) => {
      process.exitCode = await (await import("./give-order.ts")).kick(id, options);
    });
  add(program, "revoke", "let nothing count any more that was issued to a wallet, and end its sessions; its owner may sign again")
    .argument("<address>", wallet)
    .addHelpText("after", orderHelp())
    .action(async (address: string, options: OperatorOptions) => {
      process.exitCode = await (await import("./give-order.ts")).revoke(address, options);
    });
  add(program, "block", "keep a wallet or a network out, and end its sessions")
    .argument("<subject>", `${wallet}; or a network such as 203.0.113.0/24`)
    .option("--for <time>", "until then, as in 90m, 24h or 30d (default: until it is lifted)", (text) =>
      parseDuration(text, { least: "1s" }),
    )
    .option("--reason <text>", "for operators alone; nobody else is told")
    .addHelpText("after", orderHelp())
    .action(async (subject: string, options: BlockOptions) => {
      process.exitCode = await (await import("./give-order.ts")).block(subject, options);
    });
  add(program, "unblock", "take a block back; who was blocked is back by itself")
    .argument("<subject>", `${wallet}; or the network, as keyhole blocks tells it`)
    .addHelpText("after", orderHelp("3 there is no such block; "))
    .action(async (subject: string, options: OperatorOptions) => {
      process.exitCode = await (await import("./give-order.ts")).unblock(subject, options);
    });
  add(program, "blocks", "who is blocked, until when and why").action(async (options: OperatorOptions) => {
    process.exitCode = await (await import("./show-blocks.ts")).listBlocks(options);
  });
  const identity = program.command("identity").description("what is known of a wallet");
  add(identity, "show", "who serves it, what was ordered about it, what it bought, and what it did")
    .argument("<address>", wallet)
    .action(async (address: string, options: OperatorOptions) => {
      process.exitCode = await (await import("./show-identity.ts")).showIdentity(address, options);
    });
}

const orderHelp = (missing = ""): string =>
  `\nExit codes: 0 recorded and enforced; 5 recorded, not yet enforced (the plugin or the edge is away); ${missing}4 you may not ask; 2 wrong usage; 1 nothing was recorded.\nRepeating an order is harmless.`;

const add = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description).addOption(configOption()).addOption(jsonOption());

function parseLimit(text: string): number {
  const limit = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : Number.NaN;
  if (limit <= 1000) return limit;
  throw new InvalidArgumentError("It must be a whole number from 1 to 1000.");
}
