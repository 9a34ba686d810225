/**
 * What a tunnel weighs: resident memory of our process and of frps with none and with many tunnels at rest, each a stock
 * frpc of a wallet of its own; the CPU that they take while nothing happens; and what is left when all are gone. Beside
 * it a bare frps with as many clients.
 */
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { bareHost, renderBareClient, startBareFrps } from "./bare-frps.ts";
import { type Measured, printCount, printRatio } from "./measured.ts";
import { type IdleFigures, watchAtRest } from "./process-figures.ts";
import type { Stage, StagedProcess } from "./stage.ts";
import { hostOf, readMetric, requestClientFile, signOrder, startSubject } from "./subject.ts";
import { openTunnels, wave } from "./tunnels.ts";

const giveUpMs = 20_000;

/** Nobody connected; everybody, and gone; everybody once more, and gone: the second time shows what the first has left. */
const moments = ["none", "open", "gone", "openAgain", "goneAgain"] as const;
type Weights = Readonly<Record<(typeof moments)[number], IdleFigures>>;

/** Measures on processes of its own: what others did to a heap is not a tunnel's weight. */
export async function measureMemory(
  stage: Stage,
  options: { readonly appPort: number; readonly tunnels: number; readonly settleSeconds: number; readonly restSeconds: number },
): Promise<Measured> {
  const { appPort, tunnels } = options;
  await using keyhole = await startSubject();
  const { frpc, frps } = keyhole.ready.binaries;
  let openMs = 0;
  let goneMs = 0;
  const [ours, ourFrps] = await weigh(stage, [keyhole.ready.pid, keyhole.frpsPid()], {
    ...options,
    async open(count) {
      const startedAt = performance.now();
      const clients = await openTunnels(stage, frpc, count, async () => {
        const wallet = makeWallet();
        return { file: await requestClientFile(keyhole, signOrder(wallet), appPort), port: keyhole.edgePort, host: hostOf(wallet) };
      });
      openMs = performance.now() - startedAt;
      const connected = await readMetric(keyhole, "keyhole_tunnels");
      if (connected !== count) throw new Error(`${count} tunnels were opened, Keyhole counts ${connected}`);
      return clients;
    },
    async close(clients) {
      const startedAt = performance.now();
      await endAll(clients);
      await untilAllGone(stage, keyhole);
      goneMs = performance.now() - startedAt;
    },
  });
  const bare = await startBareFrps(stage, frps);
  let bareTunnels = 0;
  const [bareFrps] = await weigh(stage, [bare.pid], {
    ...options,
    restSeconds: options.restSeconds / 3,
    open: (count) =>
      openTunnels(stage, frpc, count, async () => {
        bareTunnels += 1;
        const name = `memory-${bareTunnels}`;
        return { file: renderBareClient(bare, name, appPort), port: bare.vhostPort, host: bareHost(name) };
      }),
    close: endAll,
  });
  await bare.end();
  if (ours === undefined || ourFrps === undefined || bareFrps === undefined) throw new Error("a process was not weighed");

  const kb = (before: IdleFigures, after: IdleFigures): number => (after.residentKb - before.residentKb) / tunnels;
  const summarize = (weights: Weights) => ({
    ...weights,
    kbPerTunnel: kb(weights.none, weights.open),
    kbPerTunnelAgain: kb(weights.gone, weights.openAgain),
    cpuMicrosecondsPerTunnelSecond: ((weights.open.cpuPercent - weights.none.cpuPercent) / 100 / tunnels) * 1e6,
  });
  const figures = { keyhole: summarize(ours), frps: summarize(ourFrps), bareFrps: summarize(bareFrps) };
  const row = (name: string, one: (typeof figures)["keyhole"]): string[] => [
    name,
    ...moments.map((moment) => printCount(one[moment].residentKb)),
    one.kbPerTunnel.toFixed(0),
    one.kbPerTunnelAgain.toFixed(0),
    printRatio(one.kbPerTunnel / figures.bareFrps.kbPerTunnel),
    one.none.cpuPercent.toFixed(1),
    one.open.cpuPercent.toFixed(1),
  ];
  return {
    key: "memory",
    figures: {
      tunnels,
      openMs,
      goneMs,
      ...figures,
      ratioToBareFrps: {
        keyhole: figures.keyhole.kbPerTunnel / figures.bareFrps.kbPerTunnel,
        frps: figures.frps.kbPerTunnel / figures.bareFrps.kbPerTunnel,
      },
    },
    table: {
      title: `Memory at ${tunnels} tunnels, each a stock frpc: resident kB, and % of a core at rest`,
      columns: ["", "none", `at ${tunnels}`, "gone", "again", "gone", "kB/tunnel", "again", "to bare", "CPU % none", `CPU % at ${tunnels}`],
      rows: [row("keyhole (Node, everything in it)", figures.keyhole), row("frps", figures.frps), row("bare frps", figures.bareFrps)],
      note: `${tunnels} wallets signed, connected and answered in ${(openMs / 1000).toFixed(1)} s; all gone ${(goneMs / 1000).toFixed(2)} s after their clients were told to end. The first kB/tunnel holds what a heap grows by when it is used at all.`,
    },
    goals: [],
  };
}

/** Opens and closes everything twice, and reads each process at rest at every moment. The first open rest is the longest. */
async function weigh(
  stage: Stage,
  pids: readonly number[],
  options: {
    readonly tunnels: number;
    readonly settleSeconds: number;
    readonly restSeconds: number;
    readonly open: (count: number) => Promise<readonly StagedProcess[]>;
    readonly close: (clients: readonly StagedProcess[]) => Promise<void>;
  },
): Promise<readonly Weights[]> {
  const { tunnels, settleSeconds, restSeconds, open, close } = options;
  const rest = async (seconds: number): Promise<readonly IdleFigures[]> => {
    await stage.pause(settleSeconds * 1000);
    return await watchAtRest(stage, pids, seconds);
  };
  // Code is compiled and buffers are made by the first tunnels, whoever they are.
  await close(await open(wave));
  const read = [await rest(restSeconds / 2)];
  for (const seconds of [restSeconds, restSeconds / 3]) {
    const clients = await open(tunnels);
    read.push(await rest(seconds));
    await close(clients);
    read.push(await rest(restSeconds / 3));
  }
  return pids.map((_, index) => Object.fromEntries(moments.map((moment, at) => [moment, read[at]?.[index]])) as unknown as Weights);
}

const endAll = async (clients: readonly StagedProcess[]): Promise<void> =>
  void (await Promise.all(clients.map((client) => client.end("SIGTERM"))));

/** Until nothing of any client is left in Keyhole: neither a session nor a connection. */
async function untilAllGone(stage: Stage, keyhole: KeyholeProcess): Promise<void> {
  const deadline = performance.now() + giveUpMs;
  const count = async (): Promise<number> =>
    (await readMetric(keyhole, "keyhole_sessions")) + (await readMetric(keyhole, "keyhole_edge_control_connections"));
  for (let left = await count(); left !== 0; left = await count()) {
    if (performance.now() > deadline) throw new Error(`${left} sessions and connections are left ${giveUpMs} ms after their clients`);
    await stage.pause(20);
  }
}
