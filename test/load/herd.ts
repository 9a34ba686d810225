/**
 * A herd at the hook: everybody comes back within a few seconds, as after a restart of frps. Two calls a client on new
 * connections, with the real stores, by kind of credential; beside them the same herd at node:http and JSON, which tells what of
 * it is the machine's and the herd's own.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FloorTold } from "./floor-worker.ts";
import type { HerdAnswer, HerdQuestion } from "./herd-worker.ts";
import type { LoginKind, PreparedLogin } from "./hook-logins.ts";
import type { HookOrder, HookTold } from "./hook-worker.ts";
import { type LoadWorker, startLoadWorker } from "./load-worker.ts";
import { type Goal, type Measured, printCount, printMs } from "./measured.ts";
import type { Stage } from "./stage.ts";
import type { ThreadQuestion } from "./thread-figures.ts";

const goalP99Ms = 25;
/** So many come before anything is measured, slowly: a hook that answers for the first time is another matter. */
const warmUp = { logins: 1000, seconds: 1 };
/** What Go's HTTP client keeps idle a host, and so frps. */
const idleOfGo = 2;

const kinds = [
  { key: "hmacToken", kind: "hmac", keptIdle: 0, name: "HMAC token" },
  { key: "tunnelJwt", kind: "jwt", keptIdle: 0, name: "tunnel JWT" },
  { key: "vanaClaim", kind: "claim", keptIdle: 0, name: "Vana claim" },
  { key: "stellarJwt", kind: "stellar-jwt", keptIdle: 0, name: "Stellar JWT" },
  { key: "hmacTokenAsFrps", kind: "hmac", keptIdle: idleOfGo, name: "HMAC token, two idle connections kept, as frps does" },
] as const satisfies readonly { key: string; kind: LoginKind; keptIdle: number; name: string }[];

type Generator = LoadWorker<unknown, HerdQuestion, HerdAnswer>;
type Target = Pick<HerdQuestion, "port" | "authorization" | "keptIdle"> & {
  readonly logins: readonly PreparedLogin[];
  readonly server: LoadWorker<unknown, ThreadQuestion, number>;
};
/** `cpuUs`: of the server's thread, a call. */
type Herd = HerdAnswer & { readonly cpuUs: number };

/** Measures one herd of so many clients for each kind of credential. */
export async function measureHerd(stage: Stage, options: { readonly logins: number; readonly seconds: number }): Promise<Measured> {
  const { logins, seconds } = options;
  const found: { readonly key: string; readonly name: string; readonly herd: Herd }[] = [];
  let floor: Herd | undefined;
  for (const { key, kind, keptIdle, name } of kinds) {
    stage.signal.throwIfAborted();
    const dir = join(stage.dir, `herd-${key}`);
    mkdirSync(dir);
    const order: HookOrder = { dir, logins: { [kind]: warmUp.logins + logins } };
    await using plugin = await startLoadWorker<HookTold, ThreadQuestion, number>(new URL("./hook-worker.ts", import.meta.url), order);
    const { port, authorization, logins: prepared } = plugin.told;
    const target = { port, authorization, keptIdle, server: plugin, logins: prepared[kind] ?? [] };
    floor ??= await measureFloor(stage, target, seconds);
    found.push({ key, name, herd: await send(stage, target, seconds) });
  }
  const rows = [...found, ...(floor === undefined ? [] : [{ key: "rawNodeHttp", name: "raw node:http + JSON", herd: floor }])];
  const row = ({ name, herd }: (typeof rows)[number]): string[] => [
    name,
    ...[herd.login.p50, herd.login.p99, herd.newProxy.p50, herd.newProxy.p99, herd.all.max].map(printMs),
    herd.cpuUs.toFixed(0),
    printCount(herd.connections),
    String(herd.errors),
  ];
  const goal = ({ name, herd }: (typeof rows)[number]): Goal => ({
    name: `herd at the hook, ${name}`,
    goal: `p99 < ${goalP99Ms} ms, 0 errors`,
    found: `${printMs(herd.all.p99)} ms, ${herd.errors}`,
    isMet: herd.all.p99 < goalP99Ms && herd.errors === 0,
  });
  const complaints = rows.flatMap(({ name, herd }) => (herd.firstError === undefined ? [] : [`${name}: ${herd.firstError.slice(0, 200)}`]));
  return {
    key: "herd",
    figures: { logins, seconds, warmUp: warmUp.logins, ...Object.fromEntries(rows.map(({ key, herd }) => [key, herd])) },
    table: {
      title: `Herd at the hook: ${printCount(logins)} Logins in ${seconds} s, each followed by its NewProxy, a new connection each`,
      columns: ["", "Login p50 ms", "p99", "NewProxy p50 ms", "p99", "slowest", "CPU µs a call", "connections", "errors"],
      rows: rows.map(row),
      note: [
        "From the moment a call was due; calls do not wait for one another. The real stores; the edge is not asked.",
        ...complaints,
      ].join("\n  "),
    },
    goals: found.map(goal),
  };
}

async function measureFloor(stage: Stage, target: Target, seconds: number): Promise<Herd> {
  await using server = await startLoadWorker<FloorTold, ThreadQuestion, number>(new URL("./floor-worker.ts", import.meta.url), undefined);
  return await send(stage, { ...target, server, port: server.told.port }, seconds);
}

/** A generator of its own for each herd: none has the garbage of the one before. */
async function send(stage: Stage, { logins, server, ...target }: Target, seconds: number): Promise<Herd> {
  await using generator: Generator = await startLoadWorker(new URL("./herd-worker.ts", import.meta.url), undefined);
  await generator.ask({ ...target, logins: logins.slice(0, warmUp.logins), seconds: warmUp.seconds }, stage.signal);
  await stage.pause(200);
  const cpuBefore = await server.ask("cpu", stage.signal);
  const herd = await generator.ask({ ...target, logins: logins.slice(warmUp.logins), seconds }, stage.signal);
  const cpuUs = ((await server.ask("cpu", stage.signal)) - cpuBefore) / herd.all.count;
  return { ...herd, cpuUs };
}
