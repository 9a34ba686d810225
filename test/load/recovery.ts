/**
 * frps is killed under many real clients: how long until each of them serves again, without help. Beside it a bare frps
 * that is started again at once, with as many clients: what frp's own retries cost whoever runs it.
 */
import { makeWallet } from "../support/wallet.ts";
import { bareHost, renderBareClient, startBareFrps } from "./bare-frps.ts";
import { openHttpConnection, renderRequest } from "./http-connection.ts";
import { type Measured, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { type Summary, summarize } from "./statistics.ts";
import { hostOf, requestClientFile, signOrder, startSubject } from "./subject.ts";
import { openTunnels } from "./tunnels.ts";

const giveUpMs = 90_000;
const askEveryMs = 20;

/** Measures `rounds` kills under `clients` clients. */
export async function measureRecovery(
  stage: Stage,
  options: { readonly appPort: number; readonly clients: number; readonly rounds: number; readonly restSeconds: number },
): Promise<Measured> {
  const { appPort, clients, rounds, restSeconds } = options;
  const ours: number[] = [];
  const bares: number[] = [];
  await using keyhole = await startSubject();
  const frps = keyhole.ready.binaries.frps;
  const hosts: string[] = [];
  const tunnels = await openTunnels(stage, keyhole.frpc, clients, async () => {
    const wallet = makeWallet();
    hosts.push(hostOf(wallet));
    return { file: await requestClientFile(keyhole, signOrder(wallet), appPort), port: keyhole.edgePort, host: hostOf(wallet) };
  });
  for (let round = 0; round < rounds; round += 1) {
    const killedAt = performance.now();
    process.kill(keyhole.frpsPid(), "SIGKILL");
    ours.push(...(await untilAllAnswer(stage, keyhole.edgePort, hosts, killedAt)));
    // frpc is patient after three quick tries a minute: a second kill at once would measure that.
    if (round + 1 < rounds) await stage.pause(restSeconds * 1000);
  }
  await Promise.all(tunnels.map((client) => client.end("SIGKILL")));

  const bare = await startBareFrps(stage, frps);
  const names = Array.from({ length: clients }, (_, index) => `recovery-${index}`);
  let next = 0;
  const bareTunnels = await openTunnels(stage, keyhole.frpc, clients, async () => {
    const name = names[next++] ?? "";
    return { file: renderBareClient(bare, name, appPort), port: bare.vhostPort, host: bareHost(name) };
  });
  for (let round = 0; round < rounds; round += 1) {
    const killedAt = await bare.killAndRestart();
    bares.push(...(await untilAllAnswer(stage, bare.vhostPort, names.map(bareHost), killedAt)));
    if (round + 1 < rounds) await stage.pause(restSeconds * 1000);
  }
  await Promise.all(bareTunnels.map((client) => client.end("SIGKILL")));
  await bare.end();

  const [mine, theirs] = [summarize(ours), summarize(bares)];
  const row = (name: string, one: Summary): string[] => [
    name,
    printMs(one.p50),
    printMs(one.p95),
    printMs(one.max),
    printRatio(one.max / theirs.max),
  ];
  return {
    key: "recovery",
    figures: {
      unit: "ms",
      clients,
      rounds,
      keyhole: mine,
      bareFrps: theirs,
      ratioToBareFrps: { p50: mine.p50 / theirs.p50, all: mine.max / theirs.max },
    },
    table: {
      title: `${clients} real clients after frps is killed, ${rounds} times: ms until each serves again`,
      columns: ["", "50 %", "95 %", "100 %", "100 % to bare"],
      rows: [row("keyhole", mine), row("bare frps, started again at once", theirs)],
    },
    goals: [],
  };
}

/** Asks every host again and again. Resolves to how long after `since` each gave its first 200. */
async function untilAllAnswer(stage: Stage, port: number, hosts: readonly string[], since: number): Promise<number[]> {
  return await Promise.all(
    hosts.map(async (host) => {
      const request = renderRequest({ host });
      while (performance.now() - since < giveUpMs) {
        const connection = await openHttpConnection(port).catch(() => undefined);
        const answer = await connection?.send(request).catch(() => undefined);
        connection?.close();
        if (answer?.status === 200) return performance.now() - since;
        await stage.pause(askEveryMs);
      }
      throw new Error(`${host} does not serve ${giveUpMs} ms after frps was killed`);
    }),
  );
}
