/**
 * The plugin under a flood of forged Logins, on kept connections, each sent as soon as the last was answered: how late its
 * event loop is, and how long clients with good tokens wait meanwhile. Beside it node:http and JSON under the same flood.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FloorTold } from "./floor-worker.ts";
import { hammer } from "./hammer.ts";
import type { HerdAnswer, HerdQuestion } from "./herd-worker.ts";
import type { PreparedLogin } from "./hook-logins.ts";
import type { HookOrder, HookTold } from "./hook-worker.ts";
import { renderRequest } from "./http-connection.ts";
import { type LoadWorker, startLoadWorker } from "./load-worker.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import type { ThreadQuestion } from "./thread-figures.ts";

/** Distinct forged Logins; they come again and again. */
const forgedLogins = 2000;
/** Good clients a second. */
const perSecond = 100;

type Server = LoadWorker<unknown, ThreadQuestion, number>;
type Watched = {
  readonly floodPerSecond: number;
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly clients: { readonly p50: number; readonly p99: number; readonly errors: number };
};

/** Floods for so long from so many connections. */
export async function measureFlood(stage: Stage, options: { readonly connections: number; readonly seconds: number }): Promise<Measured> {
  const { connections, seconds } = options;
  const dir = join(stage.dir, "flood");
  mkdirSync(dir);
  const perRun = Math.ceil(seconds * perSecond);
  const order: HookOrder = { dir, logins: { forged: forgedLogins, hmac: 3 * perRun } };
  await using plugin = await startLoadWorker<HookTold, ThreadQuestion, number>(new URL("./hook-worker.ts", import.meta.url), order);
  await using floor = await startLoadWorker<FloorTold, ThreadQuestion, number>(new URL("./floor-worker.ts", import.meta.url), undefined);
  await using generator: LoadWorker<unknown, HerdQuestion, HerdAnswer> = await startLoadWorker(
    new URL("./herd-worker.ts", import.meta.url),
    undefined,
  );
  const { authorization, logins } = plugin.told;
  const good = [...(logins.hmac ?? [])];
  const forged = (logins.forged ?? []).map(({ body }) =>
    renderRequest({ host: "127.0.0.1", method: "POST", path: "/hook?op=Login&version=0.1.0", headers: { authorization }, body }),
  );

  const watch = async (server: Server, port: number, flood: string | undefined, some: readonly PreparedLogin[]): Promise<Watched> => {
    await server.ask("watch", stage.signal);
    let sent = 0;
    const next = (): Buffer | undefined => forged[sent++ % forged.length];
    const [load, clients] = await Promise.all([
      flood === undefined ? undefined : hammer(stage, { port, connections, seconds, next, expects: flood }),
      generator.ask({ port, authorization, keptIdle: 2, logins: some, seconds }, stage.signal),
    ]);
    const delayMs = {
      p50: await server.ask("delay50", stage.signal),
      p99: await server.ask("delay99", stage.signal),
      max: await server.ask("delayMax", stage.signal),
    };
    const { p50, p99 } = clients.all;
    return { floodPerSecond: load?.perSecond ?? 0, delayMs, clients: { p50, p99, errors: clients.errors } };
  };
  const { port } = plugin.told;
  // The first one only warms up.
  await watch(plugin, port, "TOKEN_SIGNATURE", good.splice(0, perRun));
  const calm = await watch(plugin, port, undefined, good.splice(0, perRun));
  const flooded = await watch(plugin, port, "TOKEN_SIGNATURE", good.splice(0, perRun));
  const base = await watch(floor, floor.told.port, '"reject":false', (logins.hmac ?? []).slice(0, perRun));

  const rows = [
    ["plugin, no flood", calm],
    ["plugin, flooded", flooded],
    ["raw node:http + JSON, flooded", base],
  ] as const;
  return {
    key: "flood",
    figures: { connections, seconds, goodPerSecond: perSecond, calm, flooded, rawNodeHttp: base },
    table: {
      title: `A flood of forged Logins from ${connections} connections; ${perSecond} good clients a second beside it`,
      columns: ["", "forged/s", "to node:http", "event loop late p50 ms", "p99", "most", "good p50 ms", "p99", "errors"],
      rows: rows.map(([name, { floodPerSecond, delayMs, clients }]) => [
        name,
        printCount(floodPerSecond),
        floodPerSecond === 0 ? "" : printRatio(floodPerSecond / base.floodPerSecond),
        ...[delayMs.p50, delayMs.p99, delayMs.max, clients.p50, clients.p99].map(printMs),
        String(clients.errors),
      ]),
    },
    goals: [
      {
        name: "good clients that a flood at the hook keeps out",
        goal: "0",
        found: String(flooded.clients.errors),
        isMet: flooded.clients.errors === 0,
      },
    ],
  };
}
