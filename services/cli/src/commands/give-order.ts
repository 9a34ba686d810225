/**
 * `keyhole revoke|kick|block|unblock`: what an operator orders. The plugin carries it out; while it is away, revocations and
 * blocks are recorded in its place, and enforced first when it is back.
 */
import { type BlockSubject, Fault, parseLabel } from "@keyhole/core";
import type { AdminAnswer } from "../admin/admin-client.ts";
import type { OrderShape } from "../admin/admin-schemas.ts";
import type { StoredOrders } from "../admin/stored-orders.ts";
import { parsePastedSubject, parsePastedWallet, printSubject } from "../admin/subject-text.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { SocketFault } from "../sockets/socket-fault.ts";
import {
  complainProblem,
  complainRefusal,
  complainSilence,
  describeStart,
  type OperatorContext,
  type OperatorOptions,
  openExistingState,
  openOperatorContext,
} from "./operator-context.ts";
import { printTime } from "./table.ts";

/** What may be said to `block`. `for` is in ms. */
export type BlockOptions = OperatorOptions & { readonly for?: number; readonly reason?: string };

/** A command is over within a second, Node's start included: so long an order may wait for the edge, which takes a few ms. */
const budgetMs = 900;
const leastWaitMs = 250;
const patience = (): string => `waitMs=${Math.max(leastWaitMs, Math.floor(budgetMs - performance.now()))}`;

/** One order in its two ways. */
type Order = {
  readonly name: OrderShape["order"];
  readonly subject: BlockSubject;
  ask(context: OperatorContext): Promise<AdminAnswer | SocketFault>;
  /** Records it while the plugin is away; undefined when there is nothing to record it for. Missing: it cannot be recorded. */
  readonly store?: (orders: StoredOrders) => Promise<Pick<OrderShape, "notBefore" | "block"> | undefined>;
};

/** Ends everything that was issued to a wallet until now. */
export async function revoke(text: string, options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const label = parsePastedWallet(text, context.config.domain);
  if (!label.granted) return complainRefusal(context, label.refusal, exitCodes.usage);
  return await give(context, {
    name: "revoke",
    subject: label.value,
    ask: ({ ask }) => ask("POST", `/v1/identities/${label.value}/revoke?${patience()}`),
    store: async (orders) => ({ notBefore: (await orders.revoke(label.value)).notBefore.toISOString() }),
  });
}

/** Ends the sessions of a wallet, or one by its id. */
export async function kick(text: string, options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const label = parsePastedWallet(text, context.config.domain);
  // What has no form of a wallet may be a session's id.
  const isId = !label.granted && /^[\w-]{16,64}$/.test(text) && !/^0x/i.test(text);
  if (!label.granted && !isId) return complainRefusal(context, label.refusal, exitCodes.usage);
  const target = label.granted ? `/v1/identities/${label.value}/kick` : `/v1/sessions/${encodeURIComponent(text)}/kick`;
  const subject = (label.granted ? label.value : text) as BlockSubject;
  return await give(context, { name: "kick", subject, ask: ({ ask }) => ask("POST", `${target}?${patience()}`) });
}

/** Keeps a wallet or a network out. */
export async function block(text: string, options: BlockOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const parsed = parsePastedSubject(text, context.config.domain);
  if (!parsed.granted) return complainRefusal(context, parsed.refusal, exitCodes.usage);
  const { reason = "", for: forMs } = options;
  if (!/^[^\p{C}]{0,200}$/u.test(reason)) {
    context.complain("--reason must be at most 200 characters, all of them printable.");
    return exitCodes.usage;
  }
  const subject = parsed.value;
  return await give(context, {
    name: "block",
    subject,
    ask: ({ ask }) =>
      ask("POST", `/v1/blocks?${patience()}`, { subject, reason, ...(forMs === undefined ? {} : { forSeconds: forMs / 1000 }) }),
    async store(orders) {
      const endsAt = forMs === undefined ? undefined : new Date(Date.now() + forMs);
      const stored = await orders.block({ subject, reason, endsAt });
      return { block: { subject, reason, createdAt: stored.createdAt.toISOString(), endsAt: endsAt?.toISOString() ?? null } };
    },
  });
}

/** Takes a block back. */
export async function unblock(text: string, options: OperatorOptions): Promise<ExitCode> {
  const context = openOperatorContext(options);
  const subject = parsePastedSubject(text, context.config.domain);
  if (!subject.granted) return complainRefusal(context, subject.refusal, exitCodes.usage);
  return await give(context, {
    name: "unblock",
    subject: subject.value,
    ask: ({ ask }) => ask("DELETE", `/v1/blocks?subject=${encodeURIComponent(subject.value)}`),
    store: async (orders) => ((await orders.unblock(subject.value)) ? {} : undefined),
  });
}

async function give(context: OperatorContext, order: Order): Promise<ExitCode> {
  const answer = await order.ask(context);
  return isAway(answer) ? await giveWithoutPlugin(context, order) : tell(context, answer);
}

const isAway = (answer: AdminAnswer | SocketFault): answer is SocketFault => answer instanceof SocketFault && answer.kind === "away";

function tell(context: OperatorContext, answer: AdminAnswer | SocketFault): ExitCode {
  if (answer instanceof SocketFault) return complainSilence(context, answer);
  if (answer.status !== 200 && answer.status !== 202) return complainProblem(context, answer);
  const told = answer.body as OrderShape;
  report(context, told, describe(told));
  return told.enforced ? exitCodes.ok : exitCodes.degraded;
}

async function giveWithoutPlugin(context: OperatorContext, order: Order): Promise<ExitCode> {
  const { name, subject, store } = order;
  if (store === undefined) {
    context.complain(`the plugin is not running: nobody was kicked, and a kick is not recorded. ${describeStart(context)}`);
    return exitCodes.degraded;
  }
  const recorded = await record(context, store);
  if (recorded === "locked") {
    // It has started meanwhile, or is starting.
    const answer = await order.ask(context);
    if (!isAway(answer)) return tell(context, answer);
    context.complain(
      "PART_UNREACHABLE: nothing was recorded: somebody has the plugin's lock and does not serve its socket, so it is starting or stopping. Repeat this.",
    );
    return exitCodes.failed;
  }
  if (recorded === "nothing") {
    context.complain(`BLOCK_NOT_FOUND: ${printSubject(subject)} is not blocked.`);
    return exitCodes.notFound;
  }
  const told: OrderShape = { order: name, subject: printSubject(subject), enforced: false, ended: 0, ...recorded };
  report(context, told, `${describe(told)}\nThe plugin is not running. ${describeStart(context)}`);
  return exitCodes.degraded;
}

async function record(
  context: OperatorContext,
  store: NonNullable<Order["store"]>,
): Promise<Pick<OrderShape, "notBefore" | "block"> | "nothing" | "locked"> {
  const { openStoredOrders } = await import("../admin/stored-orders.ts");
  const { openKeptEventSettings } = await import("../audit/audited-stores.ts");
  const { createWorld } = await import("../world.ts");
  const state = openExistingState(context.config.stateDir);
  try {
    const { now, randomBytes, pid } = createWorld();
    const events = openKeptEventSettings({ config: context.config, world: { now, randomBytes }, state }, "sessions");
    await using orders = await openStoredOrders(state, { orderer: context.orderer, pid, now, events });
    return (await store(orders)) ?? "nothing";
  } catch (fault) {
    if (fault instanceof Fault && fault.code === "STATE_LOCKED") return "locked";
    throw fault;
  }
}

function report(context: OperatorContext, told: OrderShape, words: string): void {
  context.print(context.isJson ? `${JSON.stringify(told, undefined, 2)}\n` : `${words}\n`);
}

/** One line: what was done, about whom, and whether it holds already. */
export function describe({ order, subject, enforced, ended, block: set }: OrderShape): string {
  const sessions = ended === 0 ? "nobody of it was connected" : `${ended} ${ended === 1 ? "session" : "sessions"} ended`;
  const until = set?.endsAt === undefined || set.endsAt === null ? "until it is lifted" : `until ${printTime(set.endsAt)}`;
  const done: Readonly<Record<OrderShape["order"], string>> = {
    revoke: `${subject} is revoked: nothing that was issued to it counts any more, and ${sessions}. Its owner may sign again; to keep it out: keyhole block ${subject}`,
    kick: `${subject}: ${sessions}; its client may come back`,
    block: `${subject} is blocked ${until}; ${sessions}`,
    unblock: `${subject} is not blocked any more`,
  };
  if (enforced) return done[order];
  const what = parseLabel(subject.toLowerCase()) === undefined ? "" : ` (what it does: keyhole identity show ${subject})`;
  return `${order} ${subject}: recorded, not yet enforced. It is enforced first when the plugin and the edge are back${what}`;
}
