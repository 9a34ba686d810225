/**
 * The hook under load: Logins of wallets that come for the first time, against node:http and JSON on the same bodies. A
 * forged token is refused before the stores are asked: what the hook itself costs. A genuine one is five reads and a row.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { hammer, type Load } from "./hammer.ts";
import type { HookOrder, HookTold } from "./hook-worker.ts";
import { renderRequest } from "./http-connection.ts";
import { startLoadWorker } from "./load-worker.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const connections = 32;
const goalRatio = 0.7;

/** Measures rounds of so many Logins. */
export async function measureHookLoad(
  stage: Stage,
  options: { readonly floorPort: number; readonly rounds: number; readonly logins: number },
): Promise<Measured> {
  const { rounds, logins } = options;
  const dir = join(stage.dir, "hook");
  mkdirSync(dir);
  const order: HookOrder = { dir, logins: (rounds + 1) * logins };
  await using plugin = await startLoadWorker<HookTold>(new URL("./hook-worker.ts", import.meta.url), order);
  const { port, authorization } = plugin.told;
  const render = (body: string): Buffer =>
    renderRequest({ host: "127.0.0.1", method: "POST", path: "/hook?op=Login&version=0.1.0", headers: { authorization }, body });
  const genuine = plugin.told.logins.map((login) => render(login.genuine));
  const forged = plugin.told.logins.map((login) => render(login.forged));
  const kinds = {
    floor: { port: options.floorPort, requests: genuine, expects: '"reject":false' },
    forged: { port, requests: forged, expects: "TOKEN_INVALID" },
    genuine: { port, requests: genuine, expects: '"reject":false' },
  };
  const loads: Record<keyof typeof kinds, Load[]> = { floor: [], forged: [], genuine: [] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of ["floor", "forged", "genuine"] as const) {
      const { requests, ...target } = kinds[name];
      const left = requests.slice(round * logins, (round + 1) * logins);
      const load = await hammer(stage, { ...target, connections, seconds: 10, next: () => left.pop() });
      // The first round only warms up.
      if (round > 0) loads[name].push(load);
    }
  }
  const summarize = (name: keyof typeof kinds) => ({
    perSecond: median(loads[name].map(({ perSecond }) => perSecond)),
    p50: median(loads[name].map(({ ms }) => ms.p50)),
    p99: median(loads[name].map(({ ms }) => ms.p99)),
  });
  const figures = { admitted: summarize("genuine"), refused: summarize("forged"), rawNodeHttp: summarize("floor") };
  const ratio = (one: { readonly perSecond: number }): number => one.perSecond / figures.rawNodeHttp.perSecond;
  const row = (name: string, one: (typeof figures)["admitted"]): string[] => [
    name,
    printCount(one.perSecond),
    printMs(one.p50),
    printMs(one.p99),
    printRatio(ratio(one)),
  ];
  return {
    key: "hookLogin",
    figures: {
      connections,
      loginsPerRound: logins,
      rounds,
      ...figures,
      ratioToRawNodeHttp: { admitted: ratio(figures.admitted), refused: ratio(figures.refused) },
    },
    table: {
      title: `Hook, Login of a new wallet, ${connections} connections (medians of ${rounds} rounds of ${printCount(logins)})`,
      columns: ["", "logins/s", "p50 ms", "p99 ms", "to node:http"],
      rows: [
        row("admitted, with the real stores", figures.admitted),
        row("refused for a forged token, without them", figures.refused),
        row("raw node:http + JSON", figures.rawNodeHttp),
      ],
    },
    goals: [
      {
        name: "hook without the stores, against raw node:http",
        goal: `≥ ${goalRatio}x`,
        found: printRatio(ratio(figures.refused)),
        isMet: ratio(figures.refused) >= goalRatio,
      },
    ],
  };
}
