/** `keyhole blocks`: who is kept out, until when and why. Read from the plugin's file while it is away. */
import { join } from "node:path";
import type { BlockListShape } from "../admin/admin-schemas.ts";
import { printSubject } from "../admin/subject-text.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { complainProblem, complainSilence, describeStart, type OperatorOptions, openOperatorContext } from "./operator-context.ts";
import { printTime, renderTable } from "./table.ts";

/** Prints the blocks in force, the newest first. */
export async function listBlocks(options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const answer = await context.ask("GET", "/v1/blocks");
  const isAway = answer instanceof SocketFault;
  if (isAway && answer.kind !== "away") return complainSilence(context, answer);
  if (!isAway && answer.status !== 200) return complainProblem(context, answer);
  const list = isAway ? await readStoredBlocks(context.config.stateDir, new Date()) : (answer.body as BlockListShape);
  context.print(context.isJson ? `${JSON.stringify(list, undefined, 2)}\n` : renderBlocks(list));
  if (!isAway) return exitCodes.ok;
  context.complain(`the plugin is not running: this is what is recorded. ${describeStart(context)}`);
  return exitCodes.degraded;
}

async function readStoredBlocks(stateDir: string, now: Date): Promise<BlockListShape> {
  const { openSessionReader } = await import("@keyhole/store");
  await using reader = await openSessionReader({ path: join(stateDir, "sessions.db") });
  const blocks = (await reader.blocks()).filter(({ endsAt }) => endsAt === undefined || endsAt > now);
  const sorted = blocks.toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  return {
    blocks: sorted.map(({ subject, reason, createdAt, endsAt }) => ({
      subject,
      reason,
      createdAt: createdAt.toISOString(),
      endsAt: endsAt?.toISOString() ?? null,
    })),
  };
}

/** The table. */
export function renderBlocks({ blocks }: BlockListShape): string {
  if (blocks.length === 0) return "  Nobody is blocked.\n";
  const rows = blocks.map(({ subject, createdAt, endsAt, reason }) => [
    printSubject(subject as Parameters<typeof printSubject>[0]),
    printTime(createdAt),
    endsAt === null ? "until it is lifted" : printTime(endsAt),
    reason,
  ]);
  return renderTable(["BLOCKED", "SINCE", "ENDS", "REASON"], rows);
}
