#!/usr/bin/env node
/**
 * `npm run fuzz [-- --seed N] [--inputs 1000000] [--minutes M] [--only SURFACE] [--from N]`: hostile input at every parser
 * and door, judged by an oracle that shares no verifier with us. Progress goes to standard error, one report to standard
 * output; 1 when a promise was broken.
 */
import { readFlags, refuseUsage } from "../../scripts/read-flags.mjs";
import { renderFuzzReport } from "./fuzz-report.ts";
import { runFuzz } from "./run-fuzz.ts";
import { openSurfaces } from "./surfaces.ts";

const say = (line: string): void => void process.stderr.write(`fuzz: ${line}\n`);

const usage = `npm run fuzz [-- --seed N] [--inputs 1000000] [--minutes 30] [--only SURFACE] [--from N]
  hostile input at every parser and door, until that many inputs or minutes have passed; 1 when a promise was broken`;

async function main(): Promise<number> {
  const { values } = readFlags("fuzz", usage, {
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)), least: 0 },
    inputs: { type: "string", default: "1000000", least: 1 },
    minutes: { type: "string", default: "30", least: 1 },
    only: { type: "string" },
    from: { type: "string", default: "0", least: 0 },
  });
  const { seed, inputs, minutes, from } = values;
  say(`seed ${seed}`);
  const stop = new AbortController();
  let escaped = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort(name));
  for (const name of ["uncaughtException", "unhandledRejection"] as const) {
    // A door that dies of an input dies here.
    process.on(name, (error: unknown) => {
      escaped += 1;
      say(`${name}: ${describe(error)}`);
    });
  }
  await using opened = await openSurfaces(seed, values.only);
  if (opened.surfaces.length === 0) return refuseUsage("fuzz", `there is no surface ${values.only} (the report of a run names them)`);
  const result = await runFuzz(opened.surfaces, {
    seed,
    inputs,
    minutes,
    from,
    say,
    signal: stop.signal,
  });
  process.stdout.write(`\n${renderFuzzReport(result)}`);
  if (escaped > 0) say(`${escaped} errors were caught by nobody`);
  if (stop.signal.aborted) say(`stopped by ${stop.signal.reason}`);
  return result.findings.length > 0 || escaped > 0 ? 1 : stop.signal.aborted ? 130 : 0;
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

const code = await main().catch((error: unknown) => {
  say(describe(error));
  return 1;
});
process.exit(code);
