/** A run's two answers: a report for people, JSON for programs. */
import { frpVersion } from "@keyhole/frp";
import type { HistoryEvent } from "./history.ts";
import type { Violation } from "./oracle.ts";
import { summarizeRecovery } from "./recovery.ts";
import type { ChaosResult } from "./run-chaos.ts";

const shown = 10;
const seconds = (ms: number): string => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : "–");
const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");

/** Renders it as text. */
export function renderChaosReport(result: ChaosResult): string {
  const { options, kills, tokens, judged, violations, left } = result;
  const killed = Object.values(kills).reduce((sum, count) => sum + count, 0);
  const rows = summarizeRecovery(result.rounds).map((row) => [
    row.killed,
    String(row.rounds),
    `${(row.unnoticed * 100).toFixed(0)} %`,
    ...[row.p50, row.p95, row.max, row.half, row.most, row.all].map(seconds),
  ]);
  return [
    `Keyhole chaos: seed ${options.seed}, ${options.wallets} wallets visited every ${options.everyMs} ms, frp ${frpVersion}, Node ${process.version}, ${result.seconds.toFixed(0)} s`,
    `  kills       ${killed} in ${result.rounds.length} rounds: ${list(kills)}`,
    `  people      ${list(result.deeds)}`,
    `  requests    ${result.requests}: ${list(result.answers)}`,
    `  tokens      ${tokens.acknowledged} acknowledged, ${tokens.stored} of them stored; ${tokens.proofsRefused} repeated proofs refused`,
    `  time        ran out ${result.expiries} times; keyhole status was asked ${result.statusPolls} times`,
    `  judged      ${judged.contested} answers while two clients of a wallet ran, ${judged.calm} requests of undisturbed labels, ${judged.late} after a label's time, ${judged.ordered} of wallets that had been revoked or blocked`,
    "",
    "Back after the last kill of a round: each wallet (p50, p95, max), and until half, 95 % and all were (medians of rounds)",
    ...renderRows([["killed", "rounds", "noticed nothing", "p50", "p95", "max", "50 %", "95 %", "100 %"], ...rows]),
    "",
    violations.length === 0 ? "0 violations" : `${violations.length} VIOLATIONS`,
    ...violations.slice(0, shown).flatMap(renderViolation),
    ...(violations.length > shown ? [`… and ${violations.length - shown} more (all of them in --json FILE)`] : []),
    left.length === 0 ? "Nothing is left running." : `LEFT RUNNING: ${left.join("; ")}`,
    "",
  ].join("\n");
}

/** Renders it as JSON. */
export function renderChaosJson(result: ChaosResult): string {
  return `${JSON.stringify({ ...result, recovery: summarizeRecovery(result.rounds) }, undefined, 2)}\n`;
}

/** What happened, one line an event, in ms from the violation. */
export function renderViolation({ rule, at, label, what, evidence }: Violation): string[] {
  return [
    "",
    `${new Date(at).toISOString()} ${rule}${label === undefined ? "" : ` at ${label}`}: ${what}`,
    ...evidence.map((event) => `  ${(event.at - at).toFixed(0).padStart(7)} ms  ${describeEvent(event)}`),
  ];
}

function describeEvent(event: HistoryEvent): string {
  const { kind, at: _at, ...fields } = event;
  const words = Object.entries(fields)
    .filter(([name]) => name !== "label" && name !== "detail")
    .map(([name, value]) => {
      if (name === "startedAt" || name === "askedAt") return `took ${(event.at - Number(value)).toFixed(0)} ms`;
      return `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`;
    });
  return [kind, ...words].join(" ").slice(0, 300);
}

function renderRows(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")}`,
  );
}
