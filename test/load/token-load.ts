/**
 * The token endpoint under load: every request a wallet that nobody saw before, signed before the clock runs. At the
 * token service itself, and through the edge as the public reaches it; beside them node:http and JSON with nothing behind.
 */
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { hammer, type Load } from "./hammer.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";
import { renderTokenRequest, signOrder } from "./subject.ts";

const connections = 32;

/** Measures rounds of so many tokens. */
export async function measureTokenLoad(
  stage: Stage,
  options: { readonly keyhole: KeyholeProcess; readonly floorPort: number; readonly rounds: number; readonly tokens: number },
): Promise<Measured> {
  const { keyhole, floorPort, rounds, tokens } = options;
  const ports = {
    direct: Number(new URL(keyhole.ready.urls.token).port),
    edge: keyhole.edgePort,
    floor: floorPort,
  };
  const loads: Record<keyof typeof ports, Load[]> = { direct: [], edge: [], floor: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const name of ["floor", "direct", "edge"] as const) {
      const requests: Buffer[] = [];
      while (requests.length < tokens) {
        requests.push(renderTokenRequest(signOrder(makeWallet())));
        if (requests.length % 500 === 0) await stage.pause(0);
      }
      loads[name].push(await hammer(stage, { port: ports[name], connections, seconds: 10, next: () => requests.pop() }));
    }
  }
  const rate = (name: keyof typeof ports): number => median(loads[name].map(({ perSecond }) => perSecond));
  const figures = (name: keyof typeof ports) => ({
    perSecond: rate(name),
    p50: median(loads[name].map(({ ms }) => ms.p50)),
    p99: median(loads[name].map(({ ms }) => ms.p99)),
  });
  const row = (title: string, name: keyof typeof ports): string[] => {
    const { perSecond, p50, p99 } = figures(name);
    return [title, printCount(perSecond), printMs(p50), printMs(p99), printRatio(perSecond / rate("floor"))];
  };
  return {
    key: "tokenEndpoint",
    figures: {
      connections,
      tokensPerRound: tokens,
      rounds,
      tokenService: figures("direct"),
      throughEdge: figures("edge"),
      rawNodeHttp: figures("floor"),
      ratioToRawNodeHttp: { tokenService: rate("direct") / rate("floor"), throughEdge: rate("edge") / rate("floor") },
    },
    table: {
      title: `Token endpoint, ${connections} connections, each request a new wallet (medians of ${rounds} rounds of ${printCount(tokens)})`,
      columns: ["", "tokens/s", "p50 ms", "p99 ms", "to node:http"],
      rows: [row("token service", "direct"), row("through the edge", "edge"), row("raw node:http + JSON", "floor")],
    },
    goals: [],
  };
}
