/**
 * How fast somebody is out: an operator revokes a wallet whose client serves, and visitors never stop asking. Stage by stage, as
 * the chain of events tells it, and as visitors see it, for a stock frpc that is honest, for one that is frozen, and for a
 * client that ignores whatever it is told: it keeps its connection, serves on, and logs in again in a loop.
 */
import { join } from "node:path";
import { type EventReader, openEventReader } from "@keyhole/store";
import { now } from "../chaos/history.ts";
import { connectOperator, type Operator } from "../race/orders.ts";
import { logIn } from "../race/racer.ts";
import { domain, type KeyholeProcess } from "../support/keyhole-process.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type OwnedWallet } from "../support/wallet.ts";
import { type Measured, printMs } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { summarize } from "./statistics.ts";
import { frpcIsUp, startStockFrpc } from "./stock-frpc.ts";
import { requestClientFile, signOrder } from "./subject.ts";

const kinds = ["honest", "frozen", "hostile"] as const;
type Kind = (typeof kinds)[number];

/** Stages of the event, with what visitors saw. Each in ms since the order was given, but the stages: since it was decided. */
type Eviction = {
  readonly answered: number;
  readonly stages: Readonly<Record<(typeof stageNames)[number], number | undefined>>;
  /** The start of the last request that the client still answered; 0 when none that started after the order was. */
  readonly lastServed: number;
  readonly visitsLater: number;
  readonly servedLater: number;
};

const stageNames = ["blockedMs", "cutMs", "kickedMs", "confirmedMs"] as const;
/** So long after the order visitors go on asking. */
const watchMs = 2600;
/** What starts later than this after the order must not be served. */
const promisedMs = 2000;
/** Nor, in the normal case, what starts later than this. */
const normallyMs = 1000;

/** Somebody who serves a wallet's address. */
type Client = { readonly end: () => Promise<void> };

/** Measures so many revocations of each kind of client. */
export async function measureEvictions(
  stage: Stage,
  options: { readonly keyhole: KeyholeProcess; readonly appPort: number; readonly evictions: number },
): Promise<Measured> {
  const { keyhole, evictions } = options;
  using operator = connectOperator(keyhole);
  await using events = openEventReader({ path: join(keyhole.stateDir, "sessions.db"), writer: "sessions" });
  const found: Record<Kind, Eviction[]> = { honest: [], frozen: [], hostile: [] };
  for (const kind of kinds) {
    while (found[kind].length < evictions) found[kind].push(await measureOne(stage, kind, { ...options, operator, events }));
  }
  const all = kinds.flatMap((kind) => found[kind]);
  const late = all.reduce((sum, { servedLater }) => sum + servedLater, 0);
  const lateVisits = all.reduce((sum, { visitsLater }) => sum + visitsLater, 0);
  const lastServed = Math.max(...all.map(({ lastServed: last }) => last));
  const figures = (kind: Kind) => {
    const of = (read: (eviction: Eviction) => number | undefined) => summarize(found[kind].map((one) => read(one) ?? Number.NaN));
    return {
      answered: of(({ answered }) => answered),
      ...Object.fromEntries(stageNames.map((name) => [name, of(({ stages }) => stages[name])])),
      lastServed: of(({ lastServed: last }) => last),
    };
  };
  const cell = (values: readonly (number | undefined)[]): string => {
    const known = values.filter((value) => value !== undefined);
    if (known.length < values.length) return `${values.length - known.length} of ${values.length} not`;
    const { p50, max } = summarize(known);
    return `${printMs(p50)} / ${printMs(max)}`;
  };
  return {
    key: "evictions",
    figures: { unit: "ms", evictions, ...Object.fromEntries(kinds.map((kind) => [kind, figures(kind)])), lateVisits, servedLate: late },
    table: {
      title: `${evictions} revocations of each kind of client under visitors, ms, p50 / slowest`,
      columns: ["", "answered", "edge refuses", "cut", "kicked", "confirmed", "last request served started"],
      rows: kinds.map((kind) => [
        kind,
        cell(found[kind].map(({ answered }) => answered)),
        ...stageNames.map((name) => cell(found[kind].map(({ stages }) => stages[name]))),
        cell(found[kind].map(({ lastServed: last }) => last)),
      ]),
      note: `Answered and last request: since the order was given. Stages: since it was decided, from the chain of events. ${lateVisits} requests started later than ${promisedMs} ms after an order.`,
    },
    goals: [
      {
        name: "served later than 2 s after a revocation was ordered",
        goal: "0",
        found: `${late} of ${lateVisits}`,
        isMet: late === 0 && lateVisits > 0,
      },
      { name: "served later than 1 s after it", goal: "0", found: `last after ${printMs(lastServed)} ms`, isMet: lastServed <= normallyMs },
      {
        name: "a revocation is answered",
        goal: "< 1 s",
        found: `${printMs(Math.max(...all.map(({ answered }) => answered)))} ms`,
        isMet: all.every(({ answered }) => answered < 1000),
      },
    ],
  };
}

async function measureOne(
  stage: Stage,
  kind: Kind,
  { keyhole, appPort, operator, events }: { keyhole: KeyholeProcess; appPort: number; operator: Operator; events: EventReader },
): Promise<Eviction> {
  const wallet = makeWallet();
  const client = await (kind === "hostile" ? startHostile(keyhole, wallet) : startStock(stage, kind, { keyhole, appPort, wallet }));
  const ask = () => visit(keyhole.edgePort, `${wallet.label}.${domain}`, { timeoutMs: 15_000 });
  if (kind !== "frozen") await waitForFact("the client serves", async () => ((await ask()).status === 200 ? true : undefined));
  const visits: { readonly startedAt: number; readonly isServed: boolean }[] = [];
  let isOver = false;
  const watching = [1, 2, 3, 4].map(async () => {
    while (!isOver) {
      const startedAt = now();
      const answer = await ask().catch(() => undefined);
      visits.push({ startedAt, isServed: answer?.status === 200 });
      if (answer?.status !== 200) await stage.pause(10);
    }
  });
  const orderedAt = now();
  const order = await operator.give("revoke", wallet.label);
  if (order === undefined) throw new Error("the revocation was not recorded");
  await stage.pause(watchMs);
  isOver = true;
  await Promise.all(watching);
  const stages = await readStages(events, wallet);
  await client.end();
  const after = visits.filter(({ startedAt }) => startedAt >= orderedAt);
  const later = after.filter(({ startedAt }) => startedAt > orderedAt + promisedMs);
  return {
    answered: order.answeredAt - order.askedAt,
    stages,
    lastServed: Math.max(0, ...after.filter(({ isServed }) => isServed).map(({ startedAt }) => startedAt - orderedAt)),
    visitsLater: later.length,
    servedLater: later.filter(({ isServed }) => isServed).length,
  };
}

async function startStock(
  stage: Stage,
  kind: "honest" | "frozen",
  { keyhole, appPort, wallet }: { readonly keyhole: KeyholeProcess; readonly appPort: number; readonly wallet: OwnedWallet },
): Promise<Client> {
  const client = startStockFrpc(stage, keyhole.frpc, await requestClientFile(keyhole, signOrder(wallet), appPort));
  await client.saw(frpcIsUp);
  if (kind === "frozen") process.kill(client.pid, "SIGSTOP");
  return { end: () => client.end("SIGKILL") };
}

/** Serves on whatever happens, and logs in again and again. */
async function startHostile(keyhole: KeyholeProcess, wallet: OwnedWallet): Promise<Client> {
  const file = await requestClientFile(keyhole, signOrder(wallet), 1);
  const token = /frp_[A-Za-z0-9]+_\d+_[0-9a-f]{64}/.exec(file)?.[0] ?? "";
  const credential = { token, issuedAt: Number(token.split("_")[2]) };
  const enter = (ticket?: string) => logIn(keyhole.controlPort, wallet.label, credential, ticket, () => {});
  const first = await enter();
  if (typeof first === "string") throw new Error(`not admitted: ${first}`);
  let isOver = false;
  const insisting = (async () => {
    // Only once it is thrown out: before, each login would displace itself.
    await waitForFact("it is thrown out", () => (isOver || first.login.endingAt !== undefined ? true : undefined), { timeoutMs: 30_000 });
    while (!isOver) {
      const again = await enter(first.ticket).catch(() => "lost");
      if (typeof again !== "string") again.leave();
    }
  })();
  return {
    async end() {
      isOver = true;
      first.leave();
      await insisting;
    },
  };
}

async function readStages(events: EventReader, { label }: OwnedWallet): Promise<Eviction["stages"]> {
  const detail = await waitForFact(
    "the eviction is over",
    async () => {
      const { head } = await events.bounds();
      const newest = await events.after(Math.max(0, (head?.sequence ?? 0) - 500), 500);
      return newest.findLast((row) => row.event === "session.evicted" && row.label === label)?.detail;
    },
    { timeoutMs: 15_000 },
  );
  const told = JSON.parse(detail) as Record<string, number>;
  return { blockedMs: told["blockedMs"], cutMs: told["cutMs"], kickedMs: told["kickedMs"], confirmedMs: told["confirmedMs"] };
}
