/** What the canary has met, round by round, and what that means: one bad round is bad luck, two are a finding. */
import type { CanaryReport, CanaryStage } from "@keyhole/token";

/** How one round went: how long the answer took, or what failed. */
export type CanaryRound = { readonly ms: number } | { readonly stage: CanaryStage; readonly reason: string };

/** Figures for metrics. */
export type CanaryStats = {
  readonly rounds: Readonly<Record<"ok" | CanaryStage, number>>;
  readonly report: CanaryReport | undefined;
};

/** The record of one process. */
export type CanaryRecord = {
  /** Notes a round; tells when the finding has changed by it. */
  note(round: CanaryRound, at: Date): "failing" | "ok" | undefined;
  /** Undefined before the first finding: an answer, or two failures in a row. */
  report(): CanaryReport | undefined;
  stats(): CanaryStats;
};

/** So many failures in a row are a finding. */
const failuresThatCount = 2;

/** Makes an empty record. */
export function createCanaryRecord(): CanaryRecord {
  const rounds: Record<"ok" | CanaryStage, number> = { ok: 0, token: 0, login: 0, edge: 0, answer: 0 };
  let failures = 0;
  let found: CanaryReport | undefined;
  return {
    note(round, at) {
      const before = found?.ok;
      if ("ms" in round) {
        rounds.ok += 1;
        failures = 0;
        found = { ok: true, stage: undefined, lastOkAt: at, ms: round.ms };
      } else {
        rounds[round.stage] += 1;
        failures += 1;
        if (failures >= failuresThatCount) found = { ok: false, stage: round.stage, lastOkAt: found?.lastOkAt, ms: found?.ms };
      }
      return found?.ok === before || found === undefined ? undefined : found.ok ? "ok" : "failing";
    },
    report: () => found,
    stats: () => ({ rounds, report: found }),
  };
}
