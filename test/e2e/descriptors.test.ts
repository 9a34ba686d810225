/**
 * A process runs out of file descriptors: its limit is lowered while it runs, and connections take what is left. When they
 * are gone everything serves again, nobody was restarted, nobody span, and one line said what it was.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCpuSeconds } from "../load/process-figures.ts";
import { isAlive } from "../support/alive.ts";
import { connectClient } from "../support/desktop-client.ts";
import { countDescriptors } from "../support/hostile-world.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { servedBy } from "../support/served-by.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
let app: LocalApp;
let live: Wallet;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  keyhole = stack.use(await startKeyholeParts());
  app = stack.use(await startLocalApp("app"));
  live = makeWallet();
  stack.use(await connectClient(keyhole, live, app.port));
  await servedBy(keyhole, live, "app");
});
afterAll(() => stack.disposeAsync());

const readPort = (key: string): number =>
  (JSON.parse(readFileSync(join(keyhole.stateDir, "ports.json"), "utf8")) as { ports: Record<string, number> }).ports[key] ?? 0;
const setLimit = (pid: number, soft: number): void => {
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:`], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
};
const readSoftLimit = (pid: number): number => Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]);

/** Connections that say nothing, opened until the process has no descriptor left, and a while longer. */
async function exhaust(pid: number, port: number, limit: number): Promise<Disposable> {
  const sockets: Socket[] = [];
  const open = (): void => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    sockets.push(socket);
  };
  for (let count = 0; count < 200; count += 1) open();
  await waitForFact("no descriptor is left", () => (countDescriptors(pid) >= limit ? true : undefined), {
    describe: () => `${countDescriptors(pid)} of ${limit}`,
  });
  return {
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Watches it for two seconds: its share of a core, and the fewest descriptors that it had open. */
async function observeAtLimit(pid: number): Promise<{ readonly cpu: number; readonly open: number }> {
  const [startedAt, cpuBefore] = [performance.now(), readCpuSeconds(pid)];
  let open = countDescriptors(pid);
  await waitForFact(
    "two seconds are over",
    () => {
      open = Math.min(open, countDescriptors(pid));
      return performance.now() - startedAt >= 2000 ? true : undefined;
    },
    { everyMs: 100 },
  );
  return { cpu: ((readCpuSeconds(pid) - cpuBefore) / (performance.now() - startedAt)) * 1000, open };
}

it.each([
  ["edge", "visitors", () => keyhole.edgePort],
  ["edge", "frpc", () => keyhole.controlPort],
  ["plugin", "the hook", () => readPort("plugin.listen")],
  ["token", "the public API", () => readPort("token.listen")],
] as const)(
  "7: the %s without a descriptor left, on the side of %s: it serves again when there is one, was not restarted, and said so once",
  async (part, side, port) => {
    const pid = keyhole.pidOf(part);
    const limit = countDescriptors(pid) + 30;
    const former = readSoftLimit(pid);
    const from = keyhole.logOf(part).length;
    setLimit(pid, limit);
    using held = await exhaust(pid, port(), limit);
    const { cpu, open } = await observeAtLimit(pid);
    held[Symbol.dispose]();
    setLimit(pid, former);
    const releasedAt = performance.now();
    await servedBy(keyhole, live, "app");
    const wallet = makeWallet();
    await using _late = await connectClient(keyhole, wallet, app.port);
    await servedBy(keyhole, wallet, "app");
    console.info(
      `${part}, ${side}: ${open} of ${limit} open at the least, ${(cpu * 100).toFixed(0)} % CPU at the limit, ${Math.round(performance.now() - releasedAt)} ms to serve`,
    );
    const lines = (): string[] => keyhole.logOf(part).slice(from).split("\n");
    await waitForFact(
      "it says that there are enough again",
      () => lines().some((line) => line.includes("descriptors.enough")) || undefined,
      {
        describe: () =>
          lines()
            .filter((line) => /descriptors|warn|error/.test(line))
            .join("; "),
      },
    );
    expect(lines().filter((line) => line.includes("descriptors.scarce"))).toHaveLength(1);
    expect(lines().filter((line) => line.includes('"level":"error"')).length).toBeLessThan(20);
    expect([isAlive(pid), keyhole.pidOf(part)]).toEqual([true, pid]);
    expect([cpu < 0.5, open >= limit - 2]).toEqual([true, true]);
  },
);

it("7: frps without a descriptor left: it serves again when there is one, and the supervisor says so", async () => {
  const pid = keyhole.frpsPid();
  const from = keyhole.logOf("supervisor").length;
  const tellings = (event: string): string[] =>
    keyhole
      .logOf("supervisor")
      .slice(from)
      .split("\n")
      .filter((line) => line.includes(event) && line.includes('"of":"frps"'));
  const limit = countDescriptors(pid) + 30;
  const former = readSoftLimit(pid);
  setLimit(pid, limit);
  using held = await exhaust(pid, readPort("frps.bindPort"), limit);
  const { cpu, open } = await observeAtLimit(pid);
  await waitForFact("the supervisor says that frps has none", () => tellings("descriptors.scarce")[0]);
  const problemsOf = (part: string) => keyhole.readStatus().parts.find((each) => each.part === part)?.status?.problems;
  expect(problemsOf("supervisor")).toContainEqual(expect.stringMatching(/^frps has \d+ of \d+ file descriptors open/));
  held[Symbol.dispose]();
  setLimit(pid, former);
  const releasedAt = performance.now();
  const wallet = makeWallet();
  await using _late = await connectClient(keyhole, wallet, app.port);
  await servedBy(keyhole, wallet, "app");
  await servedBy(keyhole, live, "app");
  console.info(
    `frps: ${open} of ${limit} open at the least, ${(cpu * 100).toFixed(0)} % CPU at the limit, ${Math.round(performance.now() - releasedAt)} ms to serve`,
  );
  await waitForFact("the supervisor says that there are enough again", () => tellings("descriptors.enough")[0]);
  expect(tellings("descriptors.scarce")).toHaveLength(1);
  expect(keyhole.frpsPid()).toBe(pid);
  expect([cpu < 0.5, open >= limit - 2]).toEqual([true, true]);
});
