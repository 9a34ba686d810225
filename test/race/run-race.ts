/**
 * A whole race: a few wallets, several clients of each that log in and take over from each other without end, visitors to all
 * of them, owners who buy and revoke, operators who revoke, kick, block and unblock. Everything goes through the real edge and frps.
 */
import { Agent } from "node:http";
import { awaitInstant } from "../chaos/await-instant.ts";
import { now } from "../chaos/history.ts";
import { createPrng, type Prng } from "../chaos/prng.ts";
import { domain, type RunningKeyhole, startKeyholeProcess } from "../support/keyhole-process.ts";
import { visit } from "../support/visitor.ts";
import { makeWallet, type OwnedWallet } from "../support/wallet.ts";
import type { RaceHistory, Served } from "./history.ts";
import { connectOperator, type Operator } from "./orders.ts";
import { buyToken, revokeAll } from "./owner.ts";
import { judgeRace, type RaceViolation } from "./race-oracle.ts";
import { type Credential, logIn, type Racing } from "./racer.ts";

/** How much of it. An operation is a login, or an order; visits are not counted. */
export type RaceOptions = {
  readonly seed: number;
  readonly operations: number;
  readonly wallets: number;
  readonly clients: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** What became of it. */
export type RaceResult = {
  readonly seconds: number;
  readonly logins: { readonly admitted: number; readonly refused: Readonly<Record<string, number>> };
  readonly orders: Readonly<Record<string, number>>;
  readonly operations: number;
  readonly visits: { readonly served: number; readonly others: Readonly<Record<string, number>> };
  readonly violations: readonly RaceViolation[];
};

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };
type Notes = { [Key in keyof RaceHistory]: RaceHistory[Key][number][] };

/** What is going on, shared by everybody of the race. */
type Course = {
  readonly keyhole: RunningKeyhole;
  readonly options: RaceOptions;
  readonly notes: Notes;
  readonly refused: Record<string, number>;
  isOver(): boolean;
  /** One more operation was done. */
  count(): void;
};

/** The tokens that a wallet has, the newest last. */
type Purse = { readonly wallet: OwnedWallet; credentials: readonly Credential[] };

const keptCredentials = 3;
/** One client in so many leaves by itself after a login; the others stay until somebody ends them. */
const leaves = 0.4;

/** Runs it, and judges what happened. */
export async function runRace(options: RaceOptions): Promise<RaceResult> {
  const startedAt = now();
  await using keyhole = await startKeyholeProcess({ args: ["--log-level", "warn"] });
  using operator = connectOperator(keyhole);
  const notes: Notes = { logins: [], tokens: [], orders: [], served: [] };
  let operations = 0;
  const course: Course = {
    keyhole,
    options,
    notes,
    refused: {},
    isOver: () => operations >= options.operations || options.signal.aborted,
    count() {
      operations += 1;
      if (operations % 1000 === 0)
        options.say(`${operations} operations, ${notes.served.length} visits, ${((now() - startedAt) / 1000).toFixed(0)} s`);
    },
  };
  const purses = Array.from({ length: options.wallets }, (): Purse => ({ wallet: makeWallet(), credentials: [] }));
  await Promise.all(purses.map((purse) => fillPurse(course, purse)));
  await Promise.all(
    purses.flatMap((purse, index) => [
      own(course, purse, createPrng(options.seed, `owner ${index}`)),
      operate(course, operator, purse, createPrng(options.seed, `operator ${index}`)),
      watch(course, purse),
      watch(course, purse),
      ...Array.from({ length: options.clients }, (_, client) => race(course, purse, createPrng(options.seed, `client ${index}.${client}`))),
    ]),
  );
  const others: Record<string, number> = {};
  for (const { status, code, by } of notes.served) {
    const name = `${status} ${code ?? ""}`.trim();
    if (by === undefined) others[name] = (others[name] ?? 0) + 1;
  }
  const orders: Record<string, number> = {};
  for (const { what } of notes.orders) orders[what] = (orders[what] ?? 0) + 1;
  return {
    seconds: (now() - startedAt) / 1000,
    logins: { admitted: notes.logins.length, refused: course.refused },
    orders,
    operations,
    visits: { served: notes.served.filter(({ by }) => by !== undefined).length, others },
    violations: judgeRace(notes),
  };
}

async function fillPurse(course: Course, purse: Purse): Promise<void> {
  const token = await buyToken(course.keyhole, purse.wallet);
  if (token === undefined) return;
  course.notes.tokens.push(token.bought);
  purse.credentials = [...purse.credentials, token.credential].slice(-keptCredentials);
}

/** Buys at times, revokes rarely. */
async function own(course: Course, purse: Purse, random: Prng): Promise<void> {
  while (!course.isOver()) {
    await pause(random.between(1000, 4000), course);
    if (random.chance(0.15)) {
      const order = await revokeAll(course.keyhole, purse.wallet);
      if (order !== undefined) course.notes.orders.push(order);
      course.count();
      await pause(1100, course);
    }
    await fillPurse(course, purse);
  }
}

async function operate(course: Course, operator: Operator, { wallet: { label } }: Purse, random: Prng): Promise<void> {
  const give = async (what: Parameters<Operator["give"]>[0]): Promise<void> => {
    const order = await operator.give(what, label);
    if (order !== undefined) course.notes.orders.push(order);
    course.count();
  };
  while (!course.isOver()) {
    await pause(random.between(100, 1500), course);
    const dice = random.next();
    if (dice < 0.1) await give("revoke");
    else if (dice < 0.45) await give("kick");
    else if (dice < 0.85) {
      await give("block");
      await pause(random.between(0, 200), course);
      await give("unblock");
    } else {
      // Two at once: whoever is last holds.
      await Promise.all([give("block"), give("kick")]);
      await give("unblock");
    }
  }
}

/** Logs in, without end: with the newest token or an older one, with the ticket of before or without, leaving or staying. */
async function race(course: Course, purse: Purse, random: Prng): Promise<void> {
  let racing: Racing[] = [];
  let ticket: string | undefined;
  while (!course.isOver()) {
    const credential = random.chance(0.7) ? purse.credentials.at(-1) : purse.credentials[random.between(0, purse.credentials.length - 1)];
    if (credential === undefined) {
      await pause(100, course);
      continue;
    }
    const entered = await logIn(
      course.keyhole.controlPort,
      purse.wallet.label,
      credential,
      random.chance(0.5) ? ticket : undefined,
      (login) => void course.notes.logins.push(login),
    ).catch((error: unknown) => `lost: ${error instanceof Error ? error.message.slice(0, 40) : String(error)}`);
    course.count();
    if (typeof entered === "string") {
      course.refused[entered] = (course.refused[entered] ?? 0) + 1;
      if (entered.startsWith("REPLACED") || entered.startsWith("NEWER")) ticket = undefined;
      await pause(random.between(20, 200), course);
      continue;
    }
    ticket = entered.ticket;
    racing.push(entered);
    await pause(random.between(20, 500), course);
    if (random.chance(leaves)) entered.leave();
    for (const gone of racing.slice(0, -3)) gone.leave();
    racing = racing.slice(-3);
  }
  for (const each of racing) each.leave();
}

/** A visitor who never rests. */
async function watch(course: Course, { wallet: { label } }: Purse): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!course.isOver()) {
    const startedAt = now();
    const answer = await visit(course.keyhole.edgePort, `${label}.${domain}`, { agent, timeoutMs: 20_000 }).catch(() => undefined);
    const endedAt = now();
    const served: Writable<Served> = { label, startedAt, endedAt, status: answer?.status ?? 0 };
    if (answer?.status === 200) served.by = answer.body;
    else if (answer !== undefined) served.code = /"code":"([A-Z_]+)"/.exec(answer.body)?.[1] ?? "?";
    course.notes.served.push(served);
    await pause(answer?.status === 200 ? 1 : 10, course);
  }
  agent.destroy();
}

const pause = (ms: number, course: Course): Promise<void> =>
  course.isOver() ? Promise.resolve() : awaitInstant(now() + ms, course.options.signal);
