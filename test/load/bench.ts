#!/usr/bin/env node
/**
 * `npm run bench [-- --quick] [-- --only NAME,NAME] [-- --json FILE]`: measures the whole of Keyhole on loopback with real
 * frps and frpc. Progress goes to standard error, one report to standard output. Ends clean on a fault and on Ctrl-C.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { readFlags } from "../../scripts/read-flags.mjs";
import { startBareFrps } from "./bare-frps.ts";
import { measureDurability } from "./durability.ts";
import { measureEvictions } from "./evictions.ts";
import { measureFirstAnswer } from "./first-answer.ts";
import { measureFlood } from "./flood.ts";
import type { FloorTold } from "./floor-worker.ts";
import { measureHerd } from "./herd.ts";
import { measureHookLoad } from "./hook-load.ts";
import { measureLatency } from "./latency.ts";
import { startLoadWorker } from "./load-worker.ts";
import type { Measured } from "./measured.ts";
import { measureMemory } from "./memory.ts";
import { measurePopulation } from "./population.ts";
import { measureProofs } from "./proofs.ts";
import { measureRecovery } from "./recovery.ts";
import { readMachine, renderJson, renderReport } from "./report.ts";
import { openStage, type Stage } from "./stage.ts";
import { measureStatus } from "./status.ts";
import { startSubject } from "./subject.ts";
import { measureTakeovers } from "./takeovers.ts";
import { measureTokenLoad } from "./token-load.ts";

const full = {
  firstAnswer: { runs: 30 },
  latency: { requests: 2500, rounds: 3, roundSeconds: 2 },
  memory: { tunnels: 200, settleSeconds: 3, restSeconds: 10 },
  proofs: { rounds: 5, seconds: 2 },
  tokenLoad: { rounds: 3, tokens: 5000 },
  durability: { rounds: 5, orders: 10_000 },
  hookLoad: { rounds: 3, logins: 6000 },
  herd: { logins: 10_000, seconds: 5 },
  takeovers: { takeovers: 1000, wallets: 10 },
  evictions: { evictions: 15 },
  status: { clients: 20, requests: 2000 },
  population: { known: [1000, 10_000, 100_000] as [number, number, number], window: 2000 },
  flood: { connections: 64, seconds: 5 },
  recovery: { clients: 120, rounds: 3, restSeconds: 20 },
};
const quick: typeof full = {
  firstAnswer: { runs: 8 },
  latency: { requests: 500, rounds: 1, roundSeconds: 1 },
  memory: { tunnels: 40, settleSeconds: 1, restSeconds: 3 },
  proofs: { rounds: 3, seconds: 0.6 },
  tokenLoad: { rounds: 1, tokens: 2000 },
  durability: { rounds: 3, orders: 3000 },
  hookLoad: { rounds: 1, logins: 2000 },
  herd: { logins: 2000, seconds: 1 },
  takeovers: { takeovers: 60, wallets: 5 },
  evictions: { evictions: 2 },
  status: { clients: 5, requests: 300 },
  population: { known: [1000, 3000, 10_000], window: 1000 },
  flood: { connections: 64, seconds: 2 },
  recovery: { clients: 20, rounds: 1, restSeconds: 0 },
};
/** How long what was under way may take to end by itself after a signal. */
const endMs = 5000;

type Name = keyof typeof full;
const names = Object.keys(full) as Name[];

const usage = `npm run bench [-- --quick] [--only NAME,NAME] [--json FILE]
  measures on loopback: eleven minutes, with --quick one; --json: the figures as JSON too
  names: ${names.join(", ")}`;

async function measure(stage: Stage, sizes: typeof full, chosen: ReadonlySet<Name>): Promise<Measured[]> {
  const measured: Measured[] = [];
  const step = async (name: Name, what: string, run: () => Promise<Measured>): Promise<void> => {
    if (!chosen.has(name)) return;
    process.stderr.write(`bench: ${what}\n`);
    measured.push(await run());
  };
  const isAnyChosen = (...some: Name[]): boolean => some.some((name) => chosen.has(name));
  await using floor = await startLoadWorker<FloorTold>(new URL("./floor-worker.ts", import.meta.url), undefined);
  const { port } = floor.told;
  if (isAnyChosen("firstAnswer", "latency", "takeovers", "evictions", "status", "tokenLoad")) {
    await using keyhole = await startSubject();
    if (isAnyChosen("firstAnswer", "latency")) {
      const bare = await startBareFrps(stage, keyhole.ready.binaries.frps);
      const both = { keyhole, bare, appPort: port };
      await step("firstAnswer", "from a signature to the first answer", () => measureFirstAnswer(stage, { ...both, ...sizes.firstAnswer }));
      await step("latency", "what the way costs a request", () => measureLatency(stage, { ...both, ...sizes.latency }));
      await bare.end();
    }
    const { takeovers } = sizes;
    await step("takeovers", `${takeovers.takeovers} takeovers`, () => measureTakeovers(stage, { keyhole, appPort: port, ...takeovers }));
    const { evictions } = sizes;
    await step("evictions", `${evictions.evictions} revocations of each kind of client`, () =>
      measureEvictions(stage, { keyhole, appPort: port, ...evictions }),
    );
    await step("status", "how soon the status is true", () =>
      measureStatus(stage, { keyhole, appPort: port, floorPort: port, ...sizes.status }),
    );
    await step("tokenLoad", "the token endpoint under load", () =>
      measureTokenLoad(stage, { keyhole, floorPort: port, ...sizes.tokenLoad }),
    );
  }
  const { memory, recovery } = sizes;
  await step("memory", `memory at ${memory.tunnels} tunnels`, () => measureMemory(stage, { appPort: port, ...memory }));
  await step("recovery", `${recovery.clients} clients after frps is killed`, () => measureRecovery(stage, { appPort: port, ...recovery }));
  await step("hookLoad", "the hook under load", () => measureHookLoad(stage, { floorPort: port, ...sizes.hookLoad }));
  await step("herd", `a herd of ${sizes.herd.logins} at the hook`, () => measureHerd(stage, sizes.herd));
  await step("population", "what numbers do to the plugin", () => measurePopulation(stage, sizes.population));
  await step("flood", "a flood at the hook", () => measureFlood(stage, sizes.flood));
  await step("durability", "commits at FULL against NORMAL", () => measureDurability(stage, sizes.durability));
  await step("proofs", "proofs", () => measureProofs(stage, sizes.proofs));
  return measured;
}

/** Resolves to the exit code. */
async function runBench(): Promise<number> {
  const { values } = readFlags("bench", usage, {
    json: { type: "string" },
    only: { type: "string", oneOf: names },
    quick: { type: "boolean", default: false },
  });
  const chosen = new Set((values.only?.split(",") ?? names) as Name[]);
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
    const measured = await Promise.race([measure(stage, values.quick ? quick : full, chosen), overdue.promise]);
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
