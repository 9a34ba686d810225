/**
 * What the way costs a request: the app alone, the app behind a bare frps and frpc, the app behind our edge, frps and
 * frpc. The same app, the same load generator, blocks in turn.
 */
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { type BareFrps, bareHost, renderBareClient } from "./bare-frps.ts";
import { askInTurn, hammer, type Load } from "./hammer.ts";
import { renderRequest } from "./http-connection.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import { readCpuSeconds } from "./process-figures.ts";
import type { Stage } from "./stage.ts";
import { median, type Summary, summarize } from "./statistics.ts";
import { frpcIsUp, startStockFrpc } from "./stock-frpc.ts";
import { hostOf, requestClientFile, signOrder } from "./subject.ts";

type Way = { readonly name: string; readonly port: number; readonly request: Buffer; readonly processes: Readonly<Record<string, number>> };
type WayFigures = {
  readonly inTurnMs: Summary;
  readonly parallel: { readonly perSecond: number; readonly ms: Summary; readonly cpuMicroseconds: Readonly<Record<string, number>> };
};

const connections = 32;
const blocks = 5;

/** Measures the three ways. */
export async function measureLatency(
  stage: Stage,
  options: {
    readonly keyhole: KeyholeProcess;
    readonly bare: BareFrps;
    readonly appPort: number;
    readonly requests: number;
    readonly rounds: number;
    readonly roundSeconds: number;
  },
): Promise<Measured> {
  const { keyhole, bare, appPort } = options;
  const frpc = keyhole.ready.binaries.frpc;
  const wallet = makeWallet();
  const ourClient = startStockFrpc(stage, frpc, await requestClientFile(keyhole, signOrder(wallet), appPort));
  const bareClient = startStockFrpc(stage, frpc, renderBareClient(bare, "latency", appPort));
  await Promise.all([ourClient.saw(frpcIsUp), bareClient.saw(frpcIsUp)]);
  const ways: readonly [Way, Way, Way] = [
    { name: "app alone", port: appPort, request: renderRequest({ host: "app.localhost" }), processes: {} },
    {
      name: "bare frps + frpc",
      port: bare.vhostPort,
      request: renderRequest({ host: bareHost("latency") }),
      processes: { frps: bare.pid, frpc: bareClient.pid },
    },
    {
      name: "edge + frps + frpc",
      port: keyhole.edgePort,
      request: renderRequest({ host: hostOf(wallet) }),
      processes: { keyhole: keyhole.ready.pid, frps: keyhole.frpsPid(), frpc: ourClient.pid },
    },
  ];

  const inTurn = ways.map((): number[] => []);
  for (let block = 0; block < blocks; block += 1)
    for (const [index, { port, request }] of ways.entries())
      inTurn[index]?.push(...(await askInTurn(stage, { port, request, count: Math.ceil(options.requests / blocks) })));
  const loads = ways.map((): (Load & { readonly cpu: Readonly<Record<string, number>> })[] => []);
  for (let round = 0; round < options.rounds; round += 1)
    for (const [index, way] of ways.entries()) loads[index]?.push(await hammerWay(stage, way, options.roundSeconds));
  await Promise.all([ourClient.end("SIGKILL"), bareClient.end("SIGKILL")]);

  const [alone, throughBare, ours] = ways.map((way, index) => summarizeWay(way, inTurn[index] ?? [], loads[index] ?? [])) as [
    WayFigures,
    WayFigures,
    WayFigures,
  ];
  const row = (name: string, { inTurnMs, parallel }: WayFigures): string[] => [
    name,
    ...[inTurnMs.p50, inTurnMs.p95, inTurnMs.p99].map(printMs),
    printRatio(inTurnMs.p50 / throughBare.inTurnMs.p50),
    printCount(parallel.perSecond),
    printMs(parallel.ms.p99),
    printRatio(parallel.perSecond / throughBare.parallel.perSecond),
    Object.entries(parallel.cpuMicroseconds)
      .map(([name, microseconds]) => `${name} ${Math.round(microseconds)}`)
      .join(", "),
  ];
  return {
    key: "latency",
    figures: {
      unit: "ms",
      connections,
      appAlone: alone,
      bareFrp: throughBare,
      keyhole: ours,
      addedP50: ours.inTurnMs.p50 - alone.inTurnMs.p50,
      ratioToAppAlone: { p50: ours.inTurnMs.p50 / alone.inTurnMs.p50, perSecond: ours.parallel.perSecond / alone.parallel.perSecond },
      ratioToBareFrp: {
        p50: ours.inTurnMs.p50 / throughBare.inTurnMs.p50,
        perSecond: ours.parallel.perSecond / throughBare.parallel.perSecond,
      },
    },
    table: {
      title: `A request on the way: in turn, ms; ${connections} in parallel, requests/s (medians of ${options.rounds} rounds)`,
      columns: ["", "p50", "p95", "p99", "to bare", "req/s", "p99 ms", "to bare", "CPU µs/request"],
      rows: ways.map((way, index) => row(way.name, [alone, throughBare, ours][index] ?? ours)),
      note: `Edge, frps and frpc add ${printMs(ours.inTurnMs.p50 - alone.inTurnMs.p50)} ms to the app alone (${printRatio(ours.inTurnMs.p50 / alone.inTurnMs.p50)}), p50.`,
    },
    goals: [],
  };
}

async function hammerWay(stage: Stage, way: Way, seconds: number): Promise<Load & { readonly cpu: Readonly<Record<string, number>> }> {
  const { port, request } = way;
  const read = (): [string, number][] => Object.entries(way.processes).map(([name, pid]) => [name, readCpuSeconds(pid)]);
  const before = Object.fromEntries(read());
  const load = await hammer(stage, { port, connections, seconds, next: () => request, warmUp: request });
  const requests = load.ms.count + connections;
  return { ...load, cpu: Object.fromEntries(read().map(([name, cpu]) => [name, ((cpu - (before[name] ?? 0)) / requests) * 1e6])) };
}

function summarizeWay(
  way: Way,
  inTurn: readonly number[],
  loads: readonly (Load & { readonly cpu: Readonly<Record<string, number>> })[],
): WayFigures {
  const middle = (of: (load: (typeof loads)[number]) => number): number => median(loads.map(of));
  return {
    inTurnMs: summarize(inTurn),
    parallel: {
      perSecond: middle(({ perSecond }) => perSecond),
      ms: {
        count: loads.reduce((sum, { ms }) => sum + ms.count, 0),
        p50: middle(({ ms }) => ms.p50),
        p95: middle(({ ms }) => ms.p95),
        p99: middle(({ ms }) => ms.p99),
        max: Math.max(...loads.map(({ ms }) => ms.max)),
      },
      cpuMicroseconds: Object.fromEntries(Object.keys(way.processes).map((name) => [name, middle(({ cpu }) => cpu[name] ?? Number.NaN)])),
    },
  };
}
