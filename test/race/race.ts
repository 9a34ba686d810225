#!/usr/bin/env node
/**
 * `npm run race [-- --seed N] [--operations 10000] [--wallets 5] [--clients 3] [--json FILE]`: who may serve, raced for by many
 * through real frps, and judged by an oracle. One report to standard output; 1 when a promise was broken.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { readFlags } from "../../scripts/read-flags.mjs";
import { runRace } from "./run-race.ts";

const say = (line: string): void => void process.stderr.write(`race: ${line}\n`);

const usage = `npm run race [-- --seed N] [--operations 10000] [--wallets 5] [--clients 3] [--json FILE]
  many clients of few wallets log in, take over, are revoked, kicked, blocked and let in again; 1 when a promise was broken`;

const { values } = readFlags("race", usage, {
  seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)), least: 0 },
  operations: { type: "string", default: "10000", least: 1 },
  wallets: { type: "string", default: "5", least: 1 },
  clients: { type: "string", default: "3", least: 1 },
  json: { type: "string" },
});
const { seed, operations, wallets, clients } = values;
say(`seed ${seed}`);
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort(name));
const result = await runRace({ seed, operations, wallets, clients, say, signal: stop.signal });
if (values.json !== undefined)
  writeFileSync(resolve(process.env["INIT_CWD"] ?? ".", values.json), `${JSON.stringify(result, undefined, 2)}\n`);
const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
process.stdout.write(`
race, seed ${seed}: ${result.operations} operations in ${result.seconds.toFixed(0)} s, ${wallets} wallets, ${clients} clients each
  logins   ${result.logins.admitted} admitted; refused: ${list(result.logins.refused)}
  orders   ${list(result.orders)}
  visits   ${result.visits.served} served by an app; ${list(result.visits.others)}
  violations ${result.violations.length}
`);
for (const { rule, label, what } of result.violations.slice(0, 50)) process.stdout.write(`  (${rule}, ${label}) ${what}\n`);
process.exit(stop.signal.aborted ? 130 : result.violations.length === 0 ? 0 : 1);
