/**
 * From a wallet's signature to the first 200 at its address: sign, ask for the token, write the file, exec stock frpc, and
 * ask the address about every millisecond. Beside it, run by run, the least that could be: exec of the same frpc on a
 * bare frps. Both pay for the start of frpc, so the ratio is what Keyhole adds.
 */
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { type BareFrps, bareHost, renderBareClient } from "./bare-frps.ts";
import { untilAnswer } from "./hammer.ts";
import { renderRequest } from "./http-connection.ts";
import { type Measured, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { type Summary, summarize } from "./statistics.ts";
import { frpcIsUp, startStockFrpc } from "./stock-frpc.ts";
import { hostOf, requestClientFile, signOrder } from "./subject.ts";

type Run = { readonly sign: number; readonly token: number; readonly execToUp: number; readonly execToOk: number; readonly total: number };

const goalMs = 100;

/** Measures `runs` fresh wallets after a first one, which is told apart because everything is cold for it. */
export async function measureFirstAnswer(
  stage: Stage,
  options: { readonly keyhole: KeyholeProcess; readonly bare: BareFrps; readonly appPort: number; readonly runs: number },
): Promise<Measured> {
  const { keyhole, bare, appPort, runs } = options;
  const frpc = keyhole.ready.binaries.frpc;

  const runOurs = async (): Promise<Run> => {
    const wallet = makeWallet();
    const startedAt = performance.now();
    const order = signOrder(wallet);
    const signedAt = performance.now();
    const file = await requestClientFile(keyhole, order, appPort);
    const grantedAt = performance.now();
    const { execToUp, execToOk, okAt } = await runFrpc(file, keyhole.edgePort, hostOf(wallet));
    return { sign: signedAt - startedAt, token: grantedAt - signedAt, execToUp, execToOk, total: okAt - startedAt };
  };
  const runFrpc = async (file: string, port: number, host: string) => {
    const client = startStockFrpc(stage, frpc, file);
    const [upAt, okAt] = await Promise.all([
      client.saw(frpcIsUp),
      untilAnswer(stage, port, renderRequest({ host }), ({ status }) => status === 200),
    ]);
    await client.end("SIGKILL");
    return { execToUp: upAt - client.startedAt, execToOk: okAt - client.startedAt, okAt };
  };

  const cold = await runOurs();
  const ours: Run[] = [];
  const bares: { readonly execToUp: number; readonly execToOk: number }[] = [];
  for (let run = 0; run < runs; run += 1) {
    ours.push(await runOurs());
    bares.push(await runFrpc(renderBareClient(bare, `first-${run}`, appPort), bare.vhostPort, bareHost(`first-${run}`)));
  }

  const of = (key: keyof Run): Summary => summarize(ours.map((run) => run[key]));
  const steps = { sign: of("sign"), token: of("token"), execToUp: of("execToUp"), execToOk: of("execToOk"), total: of("total") };
  const bareUp = summarize(bares.map(({ execToUp }) => execToUp));
  const bareOk = summarize(bares.map(({ execToOk }) => execToOk));
  const row = (name: string, summary: Summary, base?: Summary): string[] => [
    name,
    printMs(summary.p50),
    printMs(summary.p95),
    base === undefined ? "" : printMs(base.p50),
    base === undefined ? "" : printRatio(summary.p50 / base.p50),
  ];
  return {
    key: "firstAnswer",
    figures: {
      unit: "ms",
      runs,
      cold,
      keyhole: steps,
      bareFrp: { execToUp: bareUp, execToOk: bareOk },
      ratioToBareFrp: { execToOk: steps.execToOk.p50 / bareOk.p50, total: steps.total.p50 / bareOk.p50 },
    },
    table: {
      title: `Sign → first 200, ms (${runs} fresh wallets)`,
      columns: ["", "p50", "p95", "bare frp p50", "ratio"],
      rows: [
        row("wallet signs", steps.sign),
        row("token and frpc.toml, through the edge", steps.token),
        row('frpc exec → "start proxy success"', steps.execToUp, bareUp),
        row("frpc exec → first 200", steps.execToOk, bareOk),
        row("sign → first 200", steps.total, bareOk),
      ],
      note: `The first of all, with everything cold: ${printMs(cold.total)} ms. Bare frp: stock frpc on a stock frps, exec → first 200.`,
    },
    goals: [
      {
        name: "sign → first 200, p50",
        goal: `< ${goalMs} ms`,
        found: `${printMs(steps.total.p50)} ms`,
        isMet: steps.total.p50 < goalMs,
      },
      { name: "sign → first 200, slowest", goal: "< 2000 ms", found: `${printMs(steps.total.max)} ms`, isMet: steps.total.max < 2000 },
    ],
  };
}
