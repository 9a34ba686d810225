/** `keyhole identity show`: everything that is known of a wallet. Read from the files while the plugin is away. */
import { join } from "node:path";
import type { Label } from "@keyhole/core";
import pc from "picocolors";
import type { IdentityShape } from "../admin/admin-schemas.ts";
import { parsePastedWallet } from "../admin/subject-text.ts";
import { derivePublicUrl } from "../config/public-url.ts";
import type { Config } from "../config/settings.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import { readKeptPorts } from "../state/ports.ts";
import {
  complainProblem,
  complainRefusal,
  complainSilence,
  describeStart,
  type OperatorOptions,
  openOperatorContext,
} from "./operator-context.ts";
import { printTime, renderTable } from "./table.ts";

/** Prints it. */
export async function showIdentity(text: string, options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const label = parsePastedWallet(text, context.config.domain);
  if (!label.granted) return complainRefusal(context, label.refusal, exitCodes.usage);
  const answer = await context.ask("GET", `/v1/identities/${label.value}`);
  const isAway = answer instanceof SocketFault;
  if (isAway && answer.kind !== "away") return complainSilence(context, answer);
  if (!isAway && answer.status !== 200) return complainProblem(context, answer);
  const identity = isAway ? await readStoredIdentity(context.config, label.value) : (answer.body as IdentityShape);
  context.print(context.isJson ? `${JSON.stringify(identity, undefined, 2)}\n` : renderIdentity(identity));
  if (!isAway) return exitCodes.ok;
  context.complain(`the plugin is not running: this is what is recorded, not who is there. ${describeStart(context)}`);
  return exitCodes.degraded;
}

async function readStoredIdentity(config: Config, label: Label): Promise<IdentityShape> {
  const { openEventReader, openSessionReader, openTokenReader } = await import("@keyhole/store");
  const { readIdentity } = await import("../admin/identity-view.ts");
  await using stack = new AsyncDisposableStack();
  const path = (writer: "tokens" | "sessions"): string => join(config.stateDir, `${writer}.db`);
  const openEvents = (writer: "tokens" | "sessions") => stack.use(openEventReader({ path: path(writer), writer }));
  const publicUrl = derivePublicUrl(config, readKeptPorts(join(config.stateDir, "ports.json"))["edge.listen"]);
  const readers = {
    sessions: stack.use(await openSessionReader({ path: path("sessions") })),
    tokens: stack.use(await openTokenReader({ path: path("tokens") })),
    events: { tokens: openEvents("tokens"), sessions: openEvents("sessions") },
    tunnelUrl: (of: Label) => publicUrl.replace("{label}", of),
    now: () => new Date(),
  };
  return await readIdentity(readers, label, null);
}

/** The page: who it is, what is in force, what it has, what it did. */
export function renderIdentity(identity: IdentityShape): string {
  const { block, revocation, ownerRevocation, sessions, tokens } = identity;
  const facts: (readonly [string, string])[] = [
    ["address", pc.bold(identity.address)],
    ["url", identity.url],
    ["now", describeNow(sessions)],
    ["last seen", identity.lastSeen === null ? "never" : printTime(identity.lastSeen)],
    [
      "blocked",
      block === null
        ? "no"
        : pc.red(
            `since ${printTime(block.createdAt)}${by(block.by)}, ${describeEnd(block.endsAt)}${block.reason === "" ? "" : `: ${block.reason}`}`,
          ),
    ],
    [
      "revoked",
      revocation === null
        ? "no"
        : pc.yellow(
            `${printTime(revocation.at)}${by(revocation.by)}: what was issued before ${printTime(revocation.notBefore)} counts no more`,
          ),
    ],
  ];
  if (ownerRevocation !== null) {
    const before = printTime(ownerRevocation.notBefore);
    facts.push(["not before", `what was issued before ${before} counts no more: its owner revoked, or a backup was restored`]);
  }
  for (const { kind, issuedAt, expiresAt, state } of tokens)
    facts.push([
      "token",
      `${kind}, issued ${printTime(issuedAt)}, ${state === "good" ? "good until" : `${state}; ended or would have ended`} ${printTime(expiresAt)}`,
    ]);
  const history = identity.history.map(({ admittedAt, closedAt, end, source, kind }) => [
    printTime(admittedAt),
    closedAt === null ? "–" : printTime(closedAt),
    end ?? (closedAt === null ? describeOpenEnd(sessions, admittedAt) : "?"),
    source ?? "?",
    kind,
  ]);
  const events = identity.events.map(({ at, event, detail }) => [printTime(at), event, describeDetail(detail)]);
  return [
    "\n",
    ...facts.map(([name, value]) => `  ${pc.dim(name.padEnd(10))} ${value}\n`),
    "\n",
    history.length === 0 ? "  It has never logged in.\n" : renderTable(["LOGGED IN", "ENDED", "HOW", "FROM", "PROVED BY"], history),
    "\n",
    events.length === 0 ? "  No events are remembered of it.\n" : renderTable(["WHEN", "WHAT", "FACTS"], events),
    "\n",
  ].join("");
}

const by = (orderer: string | null): string => (orderer === null ? "" : ` by ${orderer}`);
const describeEnd = (endsAt: string | null): string => (endsAt === null ? "until it is lifted" : `until ${printTime(endsAt)}`);

/** Of a session without an end: only the plugin knows whether it lives. */
function describeOpenEnd(sessions: IdentityShape["sessions"], admittedAt: string): string {
  if (sessions === null) return "lives, or its end was never told";
  return sessions.some((session) => session.admittedAt === admittedAt) ? "lives" : "its end was never told";
}

function describeNow(sessions: IdentityShape["sessions"]): string {
  if (sessions === null) return "not known: the plugin is not running";
  if (sessions.length === 0) return "not connected";
  return sessions
    .map(
      ({ state, source, admittedAt, id }) =>
        `${state === "routable" ? pc.green(state) : state} from ${source ?? "?"} since ${printTime(admittedAt)} (session ${id})`,
    )
    .join("; ");
}

/** Facts in their order. Nothing of ours holds a control character; a row that somebody altered may. */
const describeDetail = (detail: Readonly<Record<string, unknown>>): string =>
  Object.entries(detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")
    .replace(/\p{C}/gu, "?");
