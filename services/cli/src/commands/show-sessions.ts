/** `keyhole sessions list|show`: who is there now. */
import pc from "picocolors";
import type { SessionListShape, SessionShape } from "../admin/admin-schemas.ts";
import { parsePastedWallet } from "../admin/subject-text.ts";
import { canaryAddress } from "../canary/canary-address.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import {
  complainProblem,
  complainRefusal,
  complainSilence,
  describeStart,
  type OperatorContext,
  type OperatorOptions,
  openOperatorContext,
} from "./operator-context.ts";
import { printAge, printTime, renderTable } from "./table.ts";

/** What may be said to `list`. */
export type ListOptions = OperatorOptions & { readonly address?: string; readonly limit?: number };

const usualLimit = 100;

/** Prints the sessions that live, the newest first. */
export async function listSessions(options: ListOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const label = options.address === undefined ? undefined : parsePastedWallet(options.address, context.config.domain);
  if (label?.granted === false) return complainRefusal(context, label.refusal, exitCodes.usage);
  const { limit = usualLimit } = options;
  const answer = await context.ask("GET", `/v1/sessions?limit=${limit}${label === undefined ? "" : `&address=${label.value}`}`);
  if (answer instanceof SocketFault) return complainNoPlugin(context, answer);
  if (answer.status !== 200) return complainProblem(context, answer);
  const list = answer.body as SessionListShape;
  context.print(context.isJson ? `${JSON.stringify(list, undefined, 2)}\n` : renderSessions(list, new Date()));
  return exitCodes.ok;
}

/** Prints one session, by its id or by its wallet's address. */
export async function showSession(text: string, options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const label = parsePastedWallet(text, context.config.domain);
  const isId = /^[\w-]{16,64}$/.test(text) && !/^0x/i.test(text);
  if (!label.granted && !isId) return complainRefusal(context, label.refusal, exitCodes.usage);
  const answer = await context.ask(
    "GET",
    label.granted ? `/v1/sessions?address=${label.value}` : `/v1/sessions/${encodeURIComponent(text)}`,
  );
  if (answer instanceof SocketFault) return complainNoPlugin(context, answer);
  if (answer.status !== 200) return complainProblem(context, answer);
  const sessions = label.granted ? (answer.body as SessionListShape).sessions : [answer.body as SessionShape];
  if (sessions.length === 0) {
    context.complain(`SESSION_NOT_FOUND: ${text} has no session now. What it did before: keyhole identity show ${text}${context.flags}`);
    return exitCodes.notFound;
  }
  const [only] = sessions;
  const shown = sessions.length === 1 ? only : { sessions };
  context.print(context.isJson ? `${JSON.stringify(shown, undefined, 2)}\n` : sessions.map((session) => renderSession(session)).join("\n"));
  return exitCodes.ok;
}

/** Nobody else knows who is there. */
export function complainNoPlugin(context: OperatorContext, fault: SocketFault): ExitCode {
  if (fault.kind !== "away") return complainSilence(context, fault);
  context.complain(`PART_UNREACHABLE: the plugin is not running, and only it knows who is there. ${describeStart(context)}`);
  return exitCodes.degraded;
}

/** The table. */
export function renderSessions({ sessions, total, next }: SessionListShape, now: Date): string {
  if (sessions.length === 0) return "  Nobody is connected.\n";
  const rows = sessions.map(({ id, address, state, kind, source, admittedAt }) => [
    address,
    state,
    printAge(new Date(admittedAt), now),
    source ?? "?",
    kind,
    id,
  ]);
  const more = next === null ? "" : `  ${pc.dim(`${sessions.length} of ${total}; more with --limit, or --json and the API's cursor`)}\n`;
  const isCanaryThere = sessions.some(({ source }) => source?.startsWith(`${canaryAddress}:`));
  const canary = isCanaryThere ? `  ${pc.dim(`${canaryAddress} is the canary, a tunnel of Keyhole's own`)}\n` : "";
  return renderTable(["ADDRESS", "STATE", "FOR", "FROM", "PROVED BY", "ID"], rows) + more + canary;
}

/** One session, a fact a line. */
export function renderSession(session: SessionShape): string {
  const facts: readonly (readonly [string, string])[] = [
    ["session", session.id],
    ["address", session.address],
    ["state", session.state],
    ["from", session.source ?? "not known: it was there before the plugin, or came past the edge"],
    ["proved by", `${session.kind}, issued ${printTime(session.issuedAt)}`],
    ["ends", printTime(session.endsAt)],
    ["logged in", printTime(session.admittedAt)],
    ["connected", printTime(session.connectedAt)],
    ["seen", printTime(session.seenAt)],
    ["proxies", session.proxies.join(", ") || "–"],
  ];
  return facts.map(([name, value]) => `  ${pc.dim(name.padEnd(10))} ${value}\n`).join("");
}
