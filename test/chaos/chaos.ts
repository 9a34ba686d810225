#!/usr/bin/env node
/**
 * `npm run chaos [-- --seed N] [--kills 300] [--wallets 8] [--minutes M] [--json FILE]`: kill -9 of every process under
 * load, judged by the oracle. Progress goes to standard error, one report to standard output; 1 when a promise was broken.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { renderChaosJson, renderChaosReport } from "./chaos-report.ts";
import { runChaos } from "./run-chaos.ts";

const say = (line: string): void => void process.stderr.write(`chaos: ${line}\n`);

function readNumber(name: string, text: string, least: number): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < least) throw new Error(`--${name} must be a whole number, ${least} or more`);
  return number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
      kills: { type: "string", default: "300" },
      wallets: { type: "string", default: "8" },
      minutes: { type: "string", default: "60" },
      pace: { type: "string", default: "40" },
      json: { type: "string" },
    },
  });
  if (process.platform !== "linux") throw new Error("chaos reads /proc: it runs on Linux only");
  const seed = readNumber("seed", values.seed, 0);
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
  const wallets = readNumber("wallets", values.wallets, 1);
  const result = await runChaos({
    seed,
    kills: readNumber("kills", values.kills, 1),
    wallets,
    minutes: readNumber("minutes", values.minutes, 1),
    everyMs: readNumber("pace", values.pace, 5),
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
