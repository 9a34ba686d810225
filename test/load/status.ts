/**
 * How soon the public status of a tunnel is true, beside what a visitor meets: from frpc's exec to "connected and routable" and
 * to the first 200; from a kill -9 of frpc to "disconnected" and to the first refusal. And what an answer takes, against
 * node:http and JSON with nothing behind.
 */
import { domain, type KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";
import { askInTurn, untilAnswer } from "./hammer.ts";
import { renderRequest } from "./http-connection.ts";
import { type Measured, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { type Summary, summarize } from "./statistics.ts";
import { startStockFrpc } from "./stock-frpc.ts";
import { hostOf, requestClientFile, signOrder } from "./subject.ts";

/** What is promised of a client whose going frps knows at once. */
const goalMs = 2000;

type Status = { readonly status: string; readonly routable: boolean; readonly stale: boolean };

/** Measures so many clients that come and are killed, and so many answers. */
export async function measureStatus(
  stage: Stage,
  options: {
    readonly keyhole: KeyholeProcess;
    readonly floorPort: number;
    readonly appPort: number;
    readonly clients: number;
    readonly requests: number;
  },
): Promise<Measured> {
  const { keyhole, floorPort, appPort, clients, requests } = options;
  const came = { status: [] as number[], visitor: [] as number[] };
  const went = { status: [] as number[], visitor: [] as number[] };
  const answers: Record<"edge" | "direct" | "floor", number[]> = { edge: [], direct: [], floor: [] };
  const tokenPort = Number(new URL(keyhole.ready.urls.token).port);
  for (let round = 0; round < clients; round += 1) {
    const wallet = makeWallet();
    const file = await requestClientFile(keyhole, signOrder(wallet), appPort);
    const untilStatus = (isIt: (status: Status) => boolean): Promise<number> =>
      untilAnswer(stage, keyhole.edgePort, renderStatusRequest(wallet), ({ body }) => isIt(JSON.parse(body) as Status));
    const untilVisitor = (isIt: (code: number) => boolean): Promise<number> =>
      untilAnswer(stage, keyhole.edgePort, renderRequest({ host: hostOf(wallet) }), ({ status }) => isIt(status));
    const client = startStockFrpc(stage, keyhole.frpc, file);
    const comings = await Promise.all([
      untilStatus(({ status, routable, stale }) => status === "connected" && routable && !stale),
      untilVisitor((code) => code === 200),
    ]);
    came.status.push(comings[0] - client.startedAt);
    came.visitor.push(comings[1] - client.startedAt);
    const share = Math.ceil(requests / clients);
    answers.edge.push(...(await askInTurn(stage, { port: keyhole.edgePort, request: renderStatusRequest(wallet), count: share })));
    answers.direct.push(...(await askInTurn(stage, { port: tokenPort, request: renderStatusRequest(wallet), count: share })));
    answers.floor.push(...(await askInTurn(stage, { port: floorPort, request: renderStatusRequest(wallet), count: share })));
    const killedAt = performance.now();
    const [statusAt, visitorAt] = await Promise.all([
      untilStatus(({ status, stale }) => status === "disconnected" && !stale),
      untilVisitor((code) => code !== 200),
      client.end("SIGKILL"),
    ]);
    went.status.push(statusAt - killedAt);
    went.visitor.push(visitorAt - killedAt);
  }

  const floor = summarize(answers.floor);
  const row = (name: string, values: readonly number[], base: Summary): string[] => {
    const { p50, p95, p99, max } = summarize(values);
    return [name, ...[p50, p95, p99, max].map(printMs), printMs(base.p50), printRatio(p50 / base.p50)];
  };
  const visitors = { came: summarize(came.visitor), went: summarize(went.visitor) };
  const slowest = Math.max(...went.status);
  return {
    key: "status",
    figures: {
      unit: "ms",
      clients,
      came: { status: summarize(came.status), visitor: visitors.came },
      killed: { status: summarize(went.status), visitor: visitors.went },
      answer: { edge: summarize(answers.edge), direct: summarize(answers.direct), rawNodeHttp: floor },
    },
    table: {
      title: `GET /v1/tunnel/status of ${clients} clients that come and are killed, ms`,
      columns: ["", "p50", "p95", "p99", "slowest", "beside it p50", "ratio"],
      rows: [
        row("frpc exec → routable (beside it: first 200)", came.status, visitors.came),
        row("kill -9 → disconnected (beside it: first refusal)", went.status, visitors.went),
        row("an answer, through the edge (node:http)", answers.edge, floor),
        row("an answer, at the token service (node:http)", answers.direct, floor),
      ],
    },
    goals: [
      {
        name: "the status of a killed client is true",
        goal: `< ${goalMs} ms`,
        found: `${printMs(slowest)} ms`,
        isMet: slowest < goalMs,
      },
    ],
  };
}

const renderStatusRequest = (wallet: Wallet): Buffer => renderRequest({ host: domain, path: `/v1/tunnel/status/${wallet.address}` });
