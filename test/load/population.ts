/**
 * What numbers do to the plugin: the heap that a session takes at a thousand and at ten thousand, and what a client that comes
 * costs when a thousand, ten thousand or a hundred thousand identities are known and connected. The plugin alone, with its real
 * stores; each client is a Login and its NewProxy.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { hammer } from "./hammer.ts";
import type { HerdAnswer, HerdQuestion } from "./herd-worker.ts";
import type { PreparedLogin } from "./hook-logins.ts";
import type { HookOrder, HookTold } from "./hook-worker.ts";
import { renderRequest } from "./http-connection.ts";
import { type LoadWorker, startLoadWorker } from "./load-worker.ts";
import { type Measured, printCount, printMs, printRatio } from "./measured.ts";
import type { Stage } from "./stage.ts";
import type { ThreadQuestion } from "./thread-figures.ts";

/** So many clients a second come while anything is measured. */
const perSecond = 1000;
const fillConnections = 32;
/** So many forged Logins come first: code that has hardly run costs more than numbers do. */
const warmUpLogins = 5000;

type At = { readonly known: number; readonly cpuUs: number; readonly p50: number; readonly p99: number };

/**
 * Measures at so many known identities, least first; `window` clients come at each. The heap is read at the first two.
 */
export async function measurePopulation(
  stage: Stage,
  options: { readonly known: readonly [number, number, number]; readonly window: number },
): Promise<Measured> {
  const { known, window } = options;
  const dir = join(stage.dir, "population");
  mkdirSync(dir);
  const order: HookOrder = { dir, logins: { hmac: known[2] + window, forged: warmUpLogins } };
  await using plugin = await startLoadWorker<HookTold, ThreadQuestion, number>(new URL("./hook-worker.ts", import.meta.url), order);
  await using generator: LoadWorker<unknown, HerdQuestion, HerdAnswer> = await startLoadWorker(
    new URL("./herd-worker.ts", import.meta.url),
    undefined,
  );
  const { port, authorization } = plugin.told;
  const logins = plugin.told.logins.hmac ?? [];
  let come = 0;
  const take = (count: number): readonly PreparedLogin[] => {
    come += count;
    return logins.slice(come - count, come);
  };
  const send = async (count: number): Promise<HerdAnswer> => {
    const herd = { port, authorization, keptIdle: 0, logins: take(count), seconds: count / perSecond };
    const answer = await generator.ask(herd, stage.signal);
    if (answer.errors > 0) throw new Error(`${answer.errors} of ${count} were not admitted: ${answer.firstError}`);
    return answer;
  };
  /** As fast as they are answered, and Logins alone. */
  const rush = async (some: readonly PreparedLogin[], expects: string): Promise<void> => {
    const left = some.map(({ body }) =>
      renderRequest({ host: "127.0.0.1", method: "POST", path: "/hook?op=Login&version=0.1.0", headers: { authorization }, body }),
    );
    await hammer(stage, { port, connections: fillConnections, seconds: 600, next: () => left.pop(), expects });
  };
  const measureHere = async (): Promise<At> => {
    const at = come;
    const cpuBefore = await plugin.ask("cpu", stage.signal);
    const { all } = await send(window);
    return { known: at, cpuUs: ((await plugin.ask("cpu", stage.signal)) - cpuBefore) / all.count, p50: all.p50, p99: all.p99 };
  };

  const [few, more, many] = known;
  await rush(plugin.told.logins.forged ?? [], "TOKEN_SIGNATURE");
  const heaps = [await plugin.ask("heap", stage.signal)];
  const costs: At[] = [];
  for (const count of [few, more]) {
    await send(count - come);
    heaps.push(await plugin.ask("heap", stage.signal));
    costs.push(await measureHere());
  }
  await rush(take(many - come), '"reject":false');
  costs.push(await measureHere());

  const [empty = Number.NaN, ...full] = heaps;
  const bytes = full.map((heap, index) => (heap - empty) / (known[index] ?? Number.NaN));
  const base = costs[0]?.cpuUs ?? Number.NaN;
  const last = (costs.at(-1)?.cpuUs ?? Number.NaN) / base;
  return {
    key: "population",
    figures: {
      window,
      perSecond,
      bytesPerSession: Object.fromEntries(bytes.map((each, index) => [known[index], each])),
      cost: costs,
      ratioOfMostToFewest: last,
    },
    table: {
      title: `A client that comes (Login and NewProxy, HMAC token, ${printCount(perSecond)} clients a second) when so many are known`,
      columns: ["known and connected", "CPU µs a call", "to fewest", "p50 ms", "p99 ms", "heap a session, bytes"],
      rows: costs.map(({ known: at, cpuUs, p50, p99 }, index) => [
        printCount(at),
        cpuUs.toFixed(0),
        printRatio(cpuUs / base),
        printMs(p50),
        printMs(p99),
        bytes[index] === undefined ? "" : printCount(bytes[index]),
      ]),
      note: "The plugin's thread; its heap after a collection. Their tokens were all bought before the first came.",
    },
    goals: [
      { name: "a client costs the plugin the same however many are known", goal: "≤ 1.5x", found: printRatio(last), isMet: last <= 1.5 },
    ],
  };
}
