/**
 * The hook under load: Logins of wallets that come for the first time, against node:http and JSON on the same bodies, on
 * kept connections and with a new one each. A forged token is refused before the stores are asked: what the hook itself
 * costs. A genuine one is a look-up and a row.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { hammer, type Load } from "./hammer.ts";
import { churn } from "./hook-churn.ts";
import type { HookOrder, HookTold } from "./hook-worker.ts";
import { renderRequest } from "./http-connection.ts";
import { startLoadWorker } from "./load-worker.ts";
import { type Goal, type Measured, printCount, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const connections = 32;
const goalRatio = { kept: 0.7, fresh: 0.75 };

type Connecting = keyof typeof goalRatio;
type Kind = "floor" | "forged" | "genuine";
const kindsOf: Readonly<Record<Connecting, readonly Kind[]>> = { kept: ["floor", "forged", "genuine"], fresh: ["floor", "genuine"] };

/** Measures rounds of so many Logins. */
export async function measureHookLoad(
  stage: Stage,
  options: { readonly floorPort: number; readonly rounds: number; readonly logins: number },
): Promise<Measured> {
  const { rounds, logins } = options;
  const dir = join(stage.dir, "hook");
  mkdirSync(dir);
  // Every Login that is admitted is of a wallet that comes for the first time.
  const perConnecting = (rounds + 1) * logins;
  const order: HookOrder = { dir, logins: { hmac: 2 * perConnecting, forged: perConnecting } };
  await using plugin = await startLoadWorker<HookTold>(new URL("./hook-worker.ts", import.meta.url), order);
  const { port, authorization } = plugin.told;
  const render = (body: string): Buffer =>
    renderRequest({ host: "127.0.0.1", method: "POST", path: "/hook?op=Login&version=0.1.0", headers: { authorization }, body });
  const genuine = plugin.told.logins.hmac?.map(({ body }) => render(body)) ?? [];
  const forged = plugin.told.logins.forged?.map(({ body }) => render(body)) ?? [];
  const targets = {
    floor: { port: options.floorPort, requests: genuine, expects: '"reject":false' },
    forged: { port, requests: forged, expects: "TOKEN_SIGNATURE" },
    genuine: { port, requests: genuine, expects: '"reject":false' },
  };
  const loads: Record<Connecting, Record<Kind, Load[]>> = {
    kept: { floor: [], forged: [], genuine: [] },
    fresh: { floor: [], forged: [], genuine: [] },
  };
  for (const [half, connecting] of (["kept", "fresh"] as const).entries()) {
    for (let round = 0; round <= rounds; round += 1) {
      const start = half * perConnecting + round * logins;
      for (const kind of kindsOf[connecting]) {
        const { requests, ...target } = targets[kind];
        const left = requests.slice(start, start + logins);
        const load = await (connecting === "kept" ? hammer : churn)(stage, { ...target, connections, seconds: 10, next: () => left.pop() });
        // The first round only warms up.
        if (round > 0) loads[connecting][kind].push(load);
      }
    }
  }
  const summarize = (found: readonly Load[]) => ({
    perSecond: median(found.map(({ perSecond }) => perSecond)),
    p50: median(found.map(({ ms }) => ms.p50)),
    p99: median(found.map(({ ms }) => ms.p99)),
  });
  const figures = {
    kept: { admitted: summarize(loads.kept.genuine), refused: summarize(loads.kept.forged), rawNodeHttp: summarize(loads.kept.floor) },
    fresh: { admitted: summarize(loads.fresh.genuine), rawNodeHttp: summarize(loads.fresh.floor) },
  };
  type Figure = (typeof figures)["kept"]["admitted"];
  const ratioOf = (connecting: Connecting, one: Figure): number => one.perSecond / figures[connecting].rawNodeHttp.perSecond;
  const row = (name: string, connecting: Connecting, one: Figure): string[] => [
    name,
    printCount(one.perSecond),
    printMs(one.p50),
    printMs(one.p99),
    printRatio(ratioOf(connecting, one)),
  ];
  const goal = (name: string, connecting: Connecting): Goal => {
    const ratio = ratioOf(connecting, figures[connecting].admitted);
    const wanted = goalRatio[connecting];
    return { name, goal: `≥ ${wanted}x`, found: printRatio(ratio), isMet: ratio >= wanted };
  };
  return {
    key: "hookLogin",
    figures: {
      connections,
      loginsPerRound: logins,
      rounds,
      ...figures,
      ratioToRawNodeHttp: {
        admitted: ratioOf("kept", figures.kept.admitted),
        refused: ratioOf("kept", figures.kept.refused),
        admittedOnNewConnections: ratioOf("fresh", figures.fresh.admitted),
      },
    },
    table: {
      title: `Hook, Login of a new wallet, ${connections} at once (medians of ${rounds} rounds of ${printCount(logins)})`,
      columns: ["", "logins/s", "p50 ms", "p99 ms", "to node:http"],
      rows: [
        row("admitted, with the real stores, kept connections", "kept", figures.kept.admitted),
        row("refused for a forged token, without them", "kept", figures.kept.refused),
        row("raw node:http + JSON", "kept", figures.kept.rawNodeHttp),
        row("admitted, with the real stores, a new connection each", "fresh", figures.fresh.admitted),
        row("raw node:http + JSON, a new connection each", "fresh", figures.fresh.rawNodeHttp),
      ],
      note: "The log is rendered and dropped; the edge is not asked. A real frps pays for a TLS handshake and more with every login.",
    },
    goals: [goal("hook with the stores, against raw node:http", "kept"), goal("the same with a new connection each", "fresh")],
  };
}
