/** Performs a round of the plan, then waits until everybody who is to be served is, by the right client. */
import { findProcessesOf } from "../support/keyhole-process.ts";
import { awaitInstant } from "./await-instant.ts";
import { now, type Target, type Tell } from "./history.ts";
import type { Keeper } from "./keeper.ts";
import type { Operator } from "./operator.ts";
import type { Oracle } from "./oracle.ts";
import type { Person } from "./person.ts";
import type { Deed, Kill, Round } from "./plan.ts";
import { type RoundResult, timeBack } from "./recovery.ts";
import type { Visitors } from "./visitors.ts";

/** What those do too who let their time run out: it buys nothing. */
const keepsTime: ReadonlySet<Deed["what"]> = new Set(["take-over", "stop-older", "stop-newer", "freeze", "repeat-proof", "kick", "block"]);

/** Where rounds are performed. */
export type Stage = {
  readonly stateDir: string;
  readonly people: readonly Person[];
  readonly keeper: Keeper;
  readonly visitors: Visitors;
  readonly oracle: Oracle;
  readonly operator: Operator;
  readonly tell: Tell;
  readonly signal: AbortSignal;
  readonly counts: Counts;
};

/** What was done so far. */
export type Counts = { readonly kills: Record<Target, number>; readonly deeds: Record<Deed["what"], number> };

/** Who is not back by then needs help. */
const backWithinMs = 60_000;
const lookMs = 50;
/** Whose time is up within this need not be served any more. */
const endingMs = 500;
/** Who took so long is told with what frpc said. */
const slowMs = 5000;

/** Resolves to what became of it; undefined when nothing could be killed or the run was stopped. */
export async function performRound(stage: Stage, round: Round): Promise<RoundResult | undefined> {
  const startedAt = now();
  const { signal } = stage;
  const killed: { readonly target: Target; readonly label: string | undefined }[] = [];
  let lastKillAt = startedAt;
  const started: Promise<void>[] = [];
  const perform = async (step: Kill | Deed): Promise<void> => {
    await awaitInstant(startedAt + step.atMs, signal);
    if (signal.aborted) return;
    if ("what" in step) return await performDeed(stage, step);
    // Of what an earlier round ended there may be none for a moment.
    for (let looks = 0; step.target === "frpc" && !stage.people.some((person) => person.clients().length > 0) && looks < 100; looks += 1)
      await awaitInstant(now() + lookMs, signal);
    const at = now();
    const victim = killTarget(stage, step, started);
    if (victim === undefined) return;
    killed.push(victim);
    stage.counts.kills[victim.target] += 1;
    lastKillAt = Math.max(lastKillAt, at);
  };
  await Promise.all([...round.kills, ...round.deeds].map(perform));
  await Promise.all(started);
  await awaitEverybodyBack(stage, lastKillAt);
  if (signal.aborted || killed.length === 0) return undefined;

  const frps = findProcessesOf(stage.stateDir).filter(({ command }) => command.includes("frps.toml"));
  stage.tell({ kind: "frps-counted", at: now(), count: frps.length });
  const kinds = [...new Set(killed.map(({ target }) => target))];
  const onlyClients = kinds.length === 1 && kinds[0] === "frpc";
  const concerned = stage.people.filter(
    (person) => isToBeServed(stage, person, now()) && (!onlyClients || killed.some(({ label }) => label === person.label)),
  );
  const back = concerned
    .map((person) => ({ person, ms: timeBack(stage.visitors.since(person.label, startedAt), lastKillAt) }))
    .filter(({ ms }) => Number.isFinite(ms))
    .sort((one, other) => one.ms - other.ms);
  const hasMoved = ({ changedAt }: Person): boolean => !onlyClients && changedAt >= startedAt;
  const slowest = back.at(-1);
  return {
    name: round.name,
    killed: kinds.length === 1 && kinds[0] !== undefined ? kinds[0] : "several",
    backMs: back.filter(({ person }) => !hasMoved(person)).map(({ ms }) => ms),
    movedBackMs: back.filter(({ person }) => hasMoved(person)).map(({ ms }) => ms),
    ...(slowest !== undefined && slowest.ms > slowMs ? { slowest: describeClients(slowest.person) } : {}),
  };
}

/** `started` collects what goes on until the victim has been started again. */
function killTarget(
  { keeper, people }: Stage,
  { target, restartMs, dice }: Kill,
  started: Promise<void>[],
): { readonly target: Target; readonly label: string | undefined } | undefined {
  if (target === "frps") return keeper.killFrps() ? { target, label: undefined } : undefined;
  if (target !== "frpc") return keeper.kill(target, restartMs) ? { target, label: undefined } : undefined;
  const clients = people.flatMap((person) => person.clients().map((client) => ({ person, client })));
  const chosen = clients[Math.floor(dice * clients.length)];
  if (chosen === undefined) return undefined;
  started.push(chosen.person.kill(chosen.client, restartMs));
  return { target, label: chosen.person.label };
}

async function performDeed(stage: Stage, { what, dice, forMs }: Deed): Promise<void> {
  const { people, counts, operator } = stage;
  if (what === "back-up" || what === "restore") {
    counts.deeds[what] += 1;
    return await (what === "restore" ? restore(stage, dice) : operator.backUp());
  }
  const choose = (those: readonly Person[]): Person | undefined => those[Math.floor(dice * those.length)];
  const withTwo = choose(people.filter((person) => person.clients().length > 1));
  const buysToken = !keepsTime.has(what);
  const anybody = choose(buysToken ? people.filter(({ isCareless }) => !isCareless) : people);
  const person = what === "stop-older" || what === "stop-newer" ? withTwo : anybody;
  if (person === undefined) return;
  const clients = person.clients().filter(({ isFrozen }) => !isFrozen);
  const oldest = clients[0];
  const newest = clients.at(-1);
  counts.deeds[what] += 1;
  if (what === "owner-revoke") await person.revoke("own");
  else if (what === "revoke") await person.revoke(() => operator.order("revoke", person.label));
  else if (what === "kick") await operator.order("kick", person.label);
  else if (what === "block") await blockFor(stage, person, forMs);
  else if (what === "renew") await person.renew();
  else if (what === "repeat-proof") await person.repeatProof();
  else if (what === "take-over" || what === "take-over-newer") await person.takeOver(what === "take-over-newer");
  else if (what === "freeze" && newest !== undefined) person.freeze(newest, forMs);
  else if (what === "stop-older" && oldest !== undefined) await person.stop(oldest);
  else if (what === "stop-newer" && newest !== undefined) await person.stop(newest);
}

async function blockFor({ operator, signal }: Stage, person: Person, forMs: number): Promise<void> {
  await operator.order("block", person.label);
  await awaitInstant(now() + forMs, signal);
  await operator.order("unblock", person.label);
  person.noteChange();
}

/** Puts a backup in place: everybody has to sign anew then. */
async function restore({ people, keeper, operator }: Stage, dice: number): Promise<void> {
  await Promise.all([keeper.hold("token"), keeper.hold("plugin")]);
  // At times whoever puts it in place is killed as well.
  const isRestored = await operator.restore(dice < 0.5 ? dice * 1600 : undefined);
  keeper.release("token");
  keeper.release("plugin");
  if (isRestored) await Promise.all(people.map((person) => person.revoke(async () => {})));
}

/** It has a client that runs, and time left. */
function isToBeServed({ oracle }: Stage, person: Person, at: number): boolean {
  const deadline = oracle.deadlineOf(person.label) ?? 0;
  return deadline > at + endingMs && person.clients().some(({ isFrozen, hasEnded }) => !isFrozen && !hasEnded);
}

/** Tells the history who is not back in time. Everything of ours must run again, too. */
export async function awaitEverybodyBack(stage: Stage, since: number): Promise<void> {
  const { people, keeper, visitors, oracle, signal, tell } = stage;
  const isBack = (person: Person): boolean => {
    const { good, badAt } = visitors.lastSeen(person.label);
    const changedAt = Math.max(since, person.changedAt);
    if (good === undefined || good.startedAt <= changedAt || good.startedAt <= badAt) return false;
    return !oracle.isOutranked(person.label, good.client);
  };
  const reported = new Set<string>();
  while (!signal.aborted) {
    const at = now();
    const missing = people.filter((person) => isToBeServed(stage, person, at) && !isBack(person) && !reported.has(person.label));
    const frozen = people.some((person) => person.clients().some(({ isFrozen }) => isFrozen));
    if (missing.length === 0 && !frozen && keeper.isWhole()) return;
    for (const person of missing) {
      if (at < Math.max(since, person.changedAt) + backWithinMs) continue;
      reported.add(person.label);
      const { good } = visitors.lastSeen(person.label);
      const last = good === undefined ? "nobody" : `${good.client}, ${Math.round(at - good.startedAt)} ms ago`;
      const detail = `not back without help within ${backWithinMs / 1000} s; last served by ${last}; ${describeClients(person)}`;
      tell({ kind: "not-back", at, label: person.label, detail });
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

const describeClients = (person: Person): string =>
  person
    .clients()
    .map((client) => `${client.id}: ${client.output().slice(-1500)}`)
    .join("\n");
