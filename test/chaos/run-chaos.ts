/** A whole run: the world, the people, their visitors, then rounds until there were kills enough, and a last look. */
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { findProcessesOf } from "../support/keyhole-process.ts";
import { awaitInstant } from "./await-instant.ts";
import { createEvidence } from "./evidence.ts";
import { type HistoryEvent, now, targets } from "./history.ts";
import { startKeeper } from "./keeper.ts";
import { takeLastLook } from "./last-look.ts";
import { openOperator } from "./operator.ts";
import { createOracle, type Oracle, type Violation } from "./oracle.ts";
import { openPerson, type Person } from "./person.ts";
import { dealRounds, deedNames } from "./plan.ts";
import { createPrng } from "./prng.ts";
import type { RoundResult } from "./recovery.ts";
import { awaitEverybodyBack, type Counts, performRound, type Stage } from "./round.ts";
import { startStatusPolls } from "./status-polls.ts";
import { startVisitors } from "./visitors.ts";

/** How much chaos, and of which seed. */
export type ChaosOptions = {
  readonly seed: number;
  readonly kills: number;
  readonly wallets: number;
  /** No round begins later. */
  readonly minutes: number;
  /** Each wallet is visited so often. */
  readonly everyMs: number;
  /** Rests between rounds are no longer than this. */
  readonly mostRestMs: number;
  /** How many of the wallets let their time run out. */
  readonly careless: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** What became of it. */
export type ChaosResult = {
  readonly options: Pick<ChaosOptions, "seed" | "kills" | "wallets" | "minutes" | "everyMs">;
  readonly seconds: number;
  readonly kills: Counts["kills"];
  readonly deeds: Counts["deeds"];
  readonly rounds: readonly RoundResult[];
  readonly requests: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly tokens: { readonly acknowledged: number; readonly stored: number; readonly proofsRefused: number };
  /** How often a label's time was up. */
  readonly expiries: number;
  readonly statusPolls: number;
  readonly judged: Oracle["judged"];
  readonly violations: readonly Violation[];
  /** Processes of the run that outlived it: must be none. */
  readonly left: readonly string[];
};

/** The shortest life of a token that can be set. */
const ttlSeconds = 60;
const settings = `token.ttlSeconds = ${ttlSeconds}\nedge.appTimeoutSeconds = 5`;
const statusRestMs = 3000;
/** Fewer violations than this are worth another round. */
const hopeless = 200;

/** Runs it to its end or until the signal; leaves nothing behind either way. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, signal, say } = options;
  const startedAt = now();
  const oracle = createOracle({ ttlSeconds });
  const seen = { proofsRefused: 0, expiries: new Set<string>() };
  const evidence = createEvidence();
  let subject: KeyholeParts | undefined;
  const tell = (event: HistoryEvent): void => {
    // Ctrl-C reaches every process of the terminal: what ends then was not killed, and is no news.
    if (signal.aborted) return;
    const before = oracle.violations.length;
    evidence.note(event);
    oracle.tell(event);
    note(event, oracle, seen);
    for (const { rule, what, label } of oracle.violations.slice(before))
      if (before < hopeless) say(`VIOLATION (${rule}${label === undefined ? "" : `, ${label}`}): ${what}`);
    const [first] = oracle.violations;
    if (before === 0 && first !== undefined && subject !== undefined)
      for (const line of evidence.tell(first.label, subject)) say(`  ${line}`);
  };
  const counts: Counts = {
    kills: Object.fromEntries(targets.map((target) => [target, 0])) as Counts["kills"],
    deeds: Object.fromEntries(deedNames.map((deed) => [deed, 0])) as Counts["deeds"],
  };
  const rounds: RoundResult[] = [];
  let dir = "";
  let found = { requests: 0, answers: {} as Record<string, number>, statusPolls: 0, stored: 0 };
  {
    await using keyhole = await startKeyholeParts({ heldSockets: true, settings });
    dir = keyhole.dir;
    subject = keyhole;
    say(`everything is up in ${dir}`);
    await using keeper = startKeeper(keyhole, { tell, signal });
    await using stack = new AsyncDisposableStack();
    const people = openPeople(keyhole, options, tell);
    for (const person of people) stack.use(person);
    await Promise.all(people.map((person) => person.takeOver(false)));
    const visitors = stack.use(startVisitors(keyhole.edgePort, people, { everyMs: options.everyMs, tell }));
    const operator = openOperator(keyhole, { tell, signal });
    const stage: Stage = { stateDir: keyhole.stateDir, people, keeper, visitors, oracle, operator, tell, signal, counts };
    await awaitEverybodyBack(stage, now());
    const polls = stack.use(startStatusPolls(keyhole, { restMs: statusRestMs, tell, signal }));
    await performRounds(stage, options, rounds);
    say("a last look");
    const stored = await takeLastLook(keyhole, stage);
    found = { ...visitors.counts, statusPolls: polls.count, stored };
  }
  const acknowledged = [...oracle.acknowledged().values()].reduce((sum, grants) => sum + grants.length, 0);
  const { kills, wallets, minutes, everyMs } = options;
  return {
    options: { seed, kills, wallets, minutes, everyMs },
    seconds: (now() - startedAt) / 1000,
    kills: counts.kills,
    deeds: counts.deeds,
    rounds,
    requests: found.requests,
    answers: found.answers,
    tokens: { acknowledged, stored: found.stored, proofsRefused: seen.proofsRefused },
    expiries: seen.expiries.size,
    statusPolls: found.statusPolls,
    judged: oracle.judged,
    violations: oracle.violations,
    left: findProcessesOf(dir).map(({ pid, command }) => `${pid} ${command}`),
  };
}

function openPeople(keyhole: KeyholeParts, { seed, wallets, careless, signal }: ChaosOptions, tell: Stage["tell"]): Person[] {
  return Array.from({ length: wallets }, (_, index) => {
    const random = createPrng(seed, `person ${index}`);
    const renewsAfterMs = index < wallets - careless ? random.between(20_000, 30_000) : undefined;
    return openPerson(keyhole, { name: `p${index}`, random, renewsAfterMs, tell, signal });
  });
}

async function performRounds(stage: Stage, options: ChaosOptions, rounds: RoundResult[]): Promise<void> {
  const { say, signal, kills, minutes } = options;
  const until = now() + minutes * 60_000;
  const done = (): number => Object.values(stage.counts.kills).reduce((sum, count) => sum + count, 0);
  const startedAt = now();
  for (const round of dealRounds(createPrng(options.seed, "plan"))) {
    if (signal.aborted || done() >= kills || now() > until || stage.oracle.violations.length >= hopeless) return;
    const result = await performRound(stage, round);
    await awaitInstant(now() + Math.min(round.restMs, options.mostRestMs), signal);
    if (result === undefined) continue;
    rounds.push(result);
    const back = [...result.backMs, ...result.movedBackMs].sort((one, other) => one - other).at(-1);
    say(
      `${((now() - startedAt) / 1000).toFixed(0)} s: ${done()}/${kills} kills; ${round.name}: all back after ${back === undefined ? "–" : `${back.toFixed(0)} ms`}` +
        `; ${stage.visitors.counts.requests} requests, ${stage.oracle.violations.length} violations`,
    );
  }
}

/** Counts what the report tells and no rule needs. */
function note(event: HistoryEvent, oracle: Oracle, seen: { proofsRefused: number; readonly expiries: Set<string> }): void {
  if (event.kind === "token-answered" && event.outcome.kind === "answered" && event.outcome.code === "PROOF_ALREADY_USED")
    seen.proofsRefused += 1;
  if (event.kind !== "request") return;
  const deadline = oracle.deadlineOf(event.label);
  if (deadline !== undefined && event.startedAt > deadline) seen.expiries.add(`${event.label} ${deadline}`);
}
