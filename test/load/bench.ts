#!/usr/bin/env node
/**
 * `npm run bench [-- --quick] [-- --json FILE]`: measures the whole of Keyhole on loopback with real frps and frpc. Progress
 * goes to standard error, one report to standard output. Ends clean on a fault and on Ctrl-C.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { startBareFrps } from "./bare-frps.ts";
import { measureFirstAnswer } from "./first-answer.ts";
import type { FloorTold } from "./floor-worker.ts";
import { measureHookLoad } from "./hook-load.ts";
import { measureLatency } from "./latency.ts";
import { startLoadWorker } from "./load-worker.ts";
import type { Measured } from "./measured.ts";
import { measureMemory } from "./memory.ts";
import { measureProofs } from "./proofs.ts";
import { measureRecovery } from "./recovery.ts";
import { readMachine, renderJson, renderReport } from "./report.ts";
import { openStage, type Stage } from "./stage.ts";
import { startSubject } from "./subject.ts";
import { measureTakeovers } from "./takeovers.ts";
import { measureTokenLoad } from "./token-load.ts";

const full = {
  firstAnswer: { runs: 30 },
  latency: { requests: 2500, rounds: 3, roundSeconds: 2 },
  memory: { tunnels: 200, settleSeconds: 3, restSeconds: 10 },
  proofs: { rounds: 5, seconds: 2 },
  tokenLoad: { rounds: 3, tokens: 5000 },
  hookLoad: { rounds: 3, logins: 6000 },
  takeovers: { takeovers: 1000, wallets: 10 },
  recovery: { clients: 120, rounds: 3, restSeconds: 20 },
};
const quick: typeof full = {
  firstAnswer: { runs: 8 },
  latency: { requests: 500, rounds: 1, roundSeconds: 1 },
  memory: { tunnels: 40, settleSeconds: 1, restSeconds: 3 },
  proofs: { rounds: 3, seconds: 0.6 },
  tokenLoad: { rounds: 1, tokens: 2000 },
  hookLoad: { rounds: 1, logins: 2000 },
  takeovers: { takeovers: 60, wallets: 5 },
  recovery: { clients: 20, rounds: 1, restSeconds: 0 },
};
/** How long what was under way may take to end by itself after a signal. */
const endMs = 5000;

async function measure(stage: Stage, sizes: typeof full): Promise<Measured[]> {
  const say = (what: string): void => void process.stderr.write(`bench: ${what}\n`);
  const measured: Measured[] = [];
  await using floor = await startLoadWorker<FloorTold>(new URL("./floor-worker.ts", import.meta.url), undefined);
  const { port } = floor.told;
  {
    await using keyhole = await startSubject();
    const bare = await startBareFrps(stage, keyhole.ready.binaries.frps);
    const both = { keyhole, bare, appPort: port };
    say("from a signature to the first answer");
    measured.push(await measureFirstAnswer(stage, { ...both, ...sizes.firstAnswer }));
    say("what the way costs a request");
    measured.push(await measureLatency(stage, { ...both, ...sizes.latency }));
    await bare.end();
    say(`${sizes.takeovers.takeovers} takeovers`);
    measured.push(await measureTakeovers(stage, { keyhole, appPort: port, ...sizes.takeovers }));
    say("the token endpoint under load");
    measured.push(await measureTokenLoad(stage, { keyhole, floorPort: port, ...sizes.tokenLoad }));
  }
  say(`memory at ${sizes.memory.tunnels} tunnels`);
  measured.push(await measureMemory(stage, { appPort: port, ...sizes.memory }));
  say(`${sizes.recovery.clients} clients after frps is killed`);
  measured.push(await measureRecovery(stage, { appPort: port, ...sizes.recovery }));
  say("the hook under load");
  measured.push(await measureHookLoad(stage, { floorPort: port, ...sizes.hookLoad }));
  say("proofs");
  measured.push(await measureProofs(stage, sizes.proofs));
  return measured;
}

/** Resolves to the exit code. */
async function runBench(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: "string" }, quick: { type: "boolean", default: false } } });
  if (process.platform !== "linux") throw new Error("the bench reads /proc: it runs on Linux only");
  const stop = new AbortController();
  const overdue = Promise.withResolvers<never>();
  const end = (reason: unknown): void => {
    stop.abort(reason);
    setTimeout(() => overdue.reject(stop.signal.reason), endMs).unref();
  };
  let exitCode = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      exitCode ||= 130;
      end(`stopped by ${name}`);
    });
  }
  for (const name of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(name, (error: unknown) => {
      exitCode ||= 1;
      end(error);
    });
  }
  const machine = readMachine(values.quick);
  const startedAt = performance.now();
  await using stage = openStage(stop.signal);
  try {
    const measured = await Promise.race([measure(stage, values.quick ? quick : full), overdue.promise]);
    const seconds = (performance.now() - startedAt) / 1000;
    // npm changes to the project's folder; the path is meant from where it was typed.
    if (values.json !== undefined)
      writeFileSync(resolve(process.env["INIT_CWD"] ?? ".", values.json), renderJson(machine, measured, seconds));
    process.stdout.write(`\n${renderReport(machine, measured, seconds)}`);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write(`bench: ${describe(stop.signal.reason)}\n`);
    return exitCode;
  }
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

const code = await runBench().catch((error: unknown) => {
  process.stderr.write(`bench: ${describe(error)}\n`);
  return 1;
});
// What was cut short may still hold a handle; everything that could outlive us is gone already.
process.exit(code);
