/** How long it took until everybody was served again after the last kill of a round. Pure. */
import { percentile } from "../load/statistics.ts";
import type { Target } from "./history.ts";

/** A request of a round: when, and whether the right app answered. */
export type RoundRequest = { readonly startedAt: number; readonly endedAt: number; readonly isGood: boolean };

/** A request that waited this long was held, or hung: its visitor noticed. */
const noticedMs = 500;

/** Ms from the last kill until the label was served as ever; 0 when no visitor of it noticed anything. */
export function timeBack(requests: readonly RoundRequest[], lastKillAt: number): number {
  const good = requests.filter(({ isGood }) => isGood).sort((one, other) => one.startedAt - other.startedAt);
  let lastBad: number | undefined;
  let backAt = 0;
  for (const { isGood, startedAt, endedAt } of requests) {
    if (!isGood) lastBad = Math.max(lastBad ?? 0, startedAt);
    else if (endedAt - startedAt > noticedMs) backAt = Math.max(backAt, endedAt);
  }
  if (lastBad !== undefined) {
    const bad = lastBad;
    backAt = Math.max(backAt, good.find(({ startedAt }) => startedAt > bad)?.endedAt ?? Number.POSITIVE_INFINITY);
  }
  return Math.max(0, backAt - lastKillAt);
}

/** A round as the report tells it. */
export type RoundResult = {
  readonly name: string;
  /** What was killed; several at once are "several". */
  readonly killed: Target | "several";
  /** Of every wallet that was to be served, and whose own clients neither came nor went. Ascending. */
  readonly backMs: readonly number[];
  /** Of those whose clients did: they have a takeover behind them, too. */
  readonly movedBackMs: readonly number[];
  /** What frpc printed where it took long. */
  readonly slowest?: string;
};

/** Where wallets are told of whose own clients came or went in the round. */
const moved = "clients moved too";

export type Recovery = {
  readonly killed: RoundResult["killed"] | typeof moved;
  readonly rounds: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  /** Share of wallets of which no visitor noticed anything. */
  readonly unnoticed: number;
  /** Medians over rounds: when half, 95 % and all of the wallets were back. */
  readonly half: number;
  readonly most: number;
  readonly all: number;
};

/** Sums rounds up by what was killed. */
export function summarizeRecovery(rounds: readonly RoundResult[]): readonly Recovery[] {
  const all = [...rounds, ...rounds.map(({ movedBackMs }) => ({ killed: moved, backMs: movedBackMs }))];
  return [...new Set([...rounds.map(({ killed }) => killed).sort(), moved] as const)].map((killed) => {
    const these = all.filter((round) => round.killed === killed && round.backMs.length > 0);
    const times = these.flatMap(({ backMs }) => backMs);
    const over = (percent: number): number =>
      percentile(
        these.map(({ backMs }) => percentile(backMs, percent)),
        50,
      );
    return {
      killed,
      rounds: these.length,
      p50: percentile(times, 50),
      p95: percentile(times, 95),
      max: percentile(times, 100),
      unnoticed: times.filter((ms) => ms === 0).length / Math.max(1, times.length),
      half: over(50),
      most: over(95),
      all: over(100),
    };
  });
}
