/**
 * The token endpoint under load: every request a wallet that nobody saw before, signed before the clock runs. At the token
 * service itself, and through the edge as the public reaches it; beside them the same endpoint with the usual libraries, and
 * node:http and JSON with nothing behind.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { KeyholeProcess } from "../support/keyhole-process.ts";
import { makeWallet } from "../support/wallet.ts";
import { hammer, type Load } from "./hammer.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import { readCpuSeconds } from "./process-figures.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";
import { renderTokenRequest, signOrder } from "./subject.ts";

const connections = 32;
const goalRatio = 15;
/** What takes the others a second takes the baseline a quarter of a minute. */
const baselineShare = 0.1;
const program = fileURLToPath(new URL("./token-baseline-worker.ts", import.meta.url));

/** Measures rounds of so many tokens. */
export async function measureTokenLoad(
  stage: Stage,
  options: { readonly keyhole: KeyholeProcess; readonly floorPort: number; readonly rounds: number; readonly tokens: number },
): Promise<Measured> {
  const { keyhole, floorPort, rounds, tokens } = options;
  const dir = join(stage.dir, "token-baseline");
  mkdirSync(dir);
  const baseline = stage.start(process.execPath, [program, dir], dir);
  await baseline.saw(".\n");
  const baselinePort = Number(/listening on ([0-9]+)\./.exec(baseline.output())?.[1]);
  const { pid } = keyhole.ready;
  const targets = {
    floor: { port: floorPort, tokens, pid: undefined },
    baseline: { port: baselinePort, tokens: Math.ceil(tokens * baselineShare), pid: baseline.pid },
    direct: { port: Number(new URL(keyhole.ready.urls.token).port), tokens, pid },
    edge: { port: keyhole.edgePort, tokens, pid },
  };
  type Name = keyof typeof targets;
  /** `cpuUs`: of the process that serves it, a request; it hardly depends on what else the machine is doing. */
  const loads: Record<Name, (Load & { readonly cpuUs: number })[]> = { floor: [], baseline: [], direct: [], edge: [] };
  // The first round only warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of Object.keys(targets) as Name[]) {
      const target = targets[name];
      const requests: Buffer[] = [];
      const count = round === 0 ? Math.ceil(target.tokens / 4) : target.tokens;
      while (requests.length < count) {
        requests.push(renderTokenRequest(signOrder(makeWallet())));
        if (requests.length % 500 === 0) await stage.pause(0);
      }
      const readCpu = (): number => (target.pid === undefined ? Number.NaN : readCpuSeconds(target.pid) * 1e6);
      const cpuBefore = readCpu();
      const load = await hammer(stage, { port: target.port, connections, seconds: 10, next: () => requests.pop() });
      if (round > 0) loads[name].push({ ...load, cpuUs: (readCpu() - cpuBefore) / load.ms.count });
    }
  }
  await baseline.end("SIGKILL");
  const rate = (name: Name): number => median(loads[name].map(({ perSecond }) => perSecond));
  const figures = (name: Name) => ({
    perSecond: rate(name),
    p50: median(loads[name].map(({ ms }) => ms.p50)),
    p99: median(loads[name].map(({ ms }) => ms.p99)),
    cpuUs: median(loads[name].map(({ cpuUs }) => cpuUs)),
  });
  const row = (title: string, name: Name): string[] => {
    const { perSecond, p50, p99, cpuUs } = figures(name);
    const ratios = [rate("baseline"), rate("floor")].map((other) => printRatio(perSecond / other));
    const cpu = Number.isNaN(cpuUs) ? "" : printCount(cpuUs);
    return [title, printCount(perSecond), printMs(p50), printMs(p99), cpu, ...ratios];
  };
  const ratio = rate("direct") / rate("baseline");
  return {
    key: "tokenEndpoint",
    figures: {
      connections,
      tokensPerRound: tokens,
      rounds,
      tokenService: figures("direct"),
      throughEdge: figures("edge"),
      usualLibraries: figures("baseline"),
      rawNodeHttp: figures("floor"),
      ratioToUsualLibraries: { tokenService: ratio, throughEdge: rate("edge") / rate("baseline") },
      cpuRatioToUsualLibraries: { tokenService: figures("baseline").cpuUs / figures("direct").cpuUs },
      ratioToRawNodeHttp: { tokenService: rate("direct") / rate("floor"), throughEdge: rate("edge") / rate("floor") },
    },
    table: {
      title: `Token endpoint, ${connections} connections, each request a new wallet (medians of ${rounds} rounds of ${printCount(tokens)})`,
      columns: ["", "tokens/s", "p50 ms", "p99 ms", "CPU µs each", "to the usual", "to node:http"],
      rows: [
        row("token service", "direct"),
        row("through the edge", "edge"),
        row("the usual: Hono + viem + jose, one commit each", "baseline"),
        row("raw node:http + JSON", "floor"),
      ],
      note: "Ours and the usual one make every record durable before they answer. Ours is a whole keyhole up, which logs.",
    },
    goals: [
      { name: "token endpoint against the usual libraries", goal: `≥ ${goalRatio}x`, found: printRatio(ratio), isMet: ratio >= goalRatio },
    ],
  };
}
