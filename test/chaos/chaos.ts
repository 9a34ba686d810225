#!/usr/bin/env node
/**
 * `npm run chaos [-- --seed N] [--kills 300] [--wallets 8] [--minutes M] [--json FILE]`: kill -9 of every process under
 * load, judged by the oracle. Progress goes to standard error, one report to standard output; 1 when a promise was broken.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { readFlags } from "../../scripts/read-flags.mjs";
import { renderChaosJson, renderChaosReport } from "./chaos-report.ts";
import { runChaos } from "./run-chaos.ts";

const say = (line: string): void => void process.stderr.write(`chaos: ${line}\n`);

const usage = `npm run chaos [-- --seed N] [--kills 300] [--wallets 8] [--minutes 60] [--pace 40] [--json FILE]
  kill -9 of every process under load, until that many kills or minutes have passed; 1 when a promise was broken
  --pace: milliseconds from one kill to the next, about; --json: the report as JSON too`;

async function main(): Promise<number> {
  const { values } = readFlags("chaos", usage, {
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)), least: 0 },
    kills: { type: "string", default: "300", least: 1 },
    wallets: { type: "string", default: "8", least: 1 },
    minutes: { type: "string", default: "60", least: 1 },
    pace: { type: "string", default: "40", least: 5 },
    json: { type: "string" },
  });
  if (process.platform !== "linux") throw new Error("chaos reads /proc: it runs on Linux only");
  const { seed, kills, wallets, minutes, pace: everyMs } = values;
  say(`seed ${seed}`);
  const stop = new AbortController();
  let exitCode = 130;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort(name));
  for (const name of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(name, (error: unknown) => {
      say(describe(error));
      exitCode = 1;
      stop.abort(name);
    });
  }
  const result = await runChaos({
    seed,
    kills,
    wallets,
    minutes,
    everyMs,
    mostRestMs: Number.POSITIVE_INFINITY,
    careless: Math.floor(wallets / 4),
    say,
    signal: stop.signal,
  });
  // npm changes to the project's folder; the path is meant from where it was typed.
  if (values.json !== undefined) writeFileSync(resolve(process.env["INIT_CWD"] ?? ".", values.json), renderChaosJson(result));
  process.stdout.write(`\n${renderChaosReport(result)}`);
  if (stop.signal.aborted) {
    say(`stopped by ${stop.signal.reason}`);
    return exitCode;
  }
  return result.violations.length === 0 && result.left.length === 0 ? 0 : 1;
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

const code = await main().catch((error: unknown) => {
  say(describe(error));
  return 1;
});
process.exit(code);
