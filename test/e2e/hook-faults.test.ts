/**
 * What stands between frps and its hook is slow, hangs, cuts, or answers with 500: who serves goes on serving, nobody gets in
 * by it, and when it is well again everybody is in without help.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient, requestClientConfig, requestToken, startFrpcOn } from "../support/desktop-client.ts";
import { countDescriptors, loginOf, readMemoryMb } from "../support/hostile-world.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { domain } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { connectRaw } from "../support/raw-frp-client.ts";
import { failuresOf, hostOf, servedBy, startVisitingWallet, waitForVisits } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet, type Wallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts({ hookRelay: true });
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

const countThreads = (pid: number): number => Number(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
const readFrps = () => {
  const pid = keyhole.frpsPid();
  return { pid, descriptors: countDescriptors(pid), threads: countThreads(pid), memoryMb: readMemoryMb(pid) };
};
const statusOf = async ({ label }: Wallet): Promise<string> =>
  (JSON.parse((await visit(keyhole.edgePort, domain, { path: `/v1/tunnel/status/${label}` })).body) as { status: string }).status;

/** What happens to a call; rejects to cut it. */
type Fault = (op: string, callOfOp: number) => Promise<unknown>;
const cut = (): Promise<never> => Promise.reject(new Error("cut"));

describe("a hook that is", () => {
  it("4, 7: slow, silent, cut off or broken: no request of a live tunnel fails, nobody is in before it is well, and everybody is afterwards", async () => {
    await using app = await startLocalApp("app");
    const live = makeWallet();
    await using _live = await connectClient(keyhole, live, app.port);
    await servedBy(keyhole, live, "app");
    const load = startVisitingWallet(keyhole, live);
    const before = readFrps();
    const well = Promise.withResolvers<void>();
    let isWell = false;

    // Those that let nobody in, and those that only cost time; all of them at once, each for its own client.
    const shut: Readonly<Record<string, Fault>> = {
      "11 s late": () => pause(11_000),
      silent: () => well.promise.then(cut),
      cut,
      "500": async () => 500,
    };
    const slow: Readonly<Record<string, Fault>> = {
      "100 ms late": () => pause(100),
      "2 s late": () => pause(2000),
      "500 every other time": async (_op, callOfOp) => (callOfOp % 2 === 1 ? 500 : undefined),
    };
    const clients = await Promise.all(
      [...Object.entries(shut), ...Object.entries(slow)].map(async ([what, fault]) => {
        const wallet = makeWallet();
        const text = await requestClientConfig(keyhole, wallet, app.port);
        return { what, fault, wallet, text, token: /"(frp_[^"]+)"/.exec(text)?.[1] ?? "", calls: new Map<string, number>() };
      }),
    );
    keyhole.hookRelay.before = async ({ op, body }) => {
      const client = clients.find(({ wallet, token }) => body.includes(token) || body.includes(wallet.label));
      if (client === undefined) return undefined;
      const call = (client.calls.get(op) ?? 0) + 1;
      client.calls.set(op, call);
      return isWell && client.what in shut ? undefined : await client.fault(op, call);
    };
    await using running = new AsyncDisposableStack();
    const startedAt = performance.now();
    for (const { text } of clients) running.use(startFrpcOn(keyhole, text));
    const of = (faults: object) => clients.filter(({ what }) => what in faults);

    const servedAfter = async (one: (typeof clients)[number], since: number): Promise<[string, number]> => {
      await servedBy(keyhole, one.wallet, "app", 40_000);
      return [one.what, Math.round(performance.now() - since)];
    };
    const slowed = Promise.all(of(slow).map((one) => servedAfter(one, startedAt)));
    // Long enough for frpc to have given up the first login (10 s) and asked again.
    await waitForFact(
      "every client that is kept out has asked twice",
      () => (of(shut).every(({ calls }) => (calls.get("Login") ?? 0) >= 2) ? true : undefined),
      {
        timeoutMs: 30_000,
        describe: () => JSON.stringify(of(shut).map(({ what, calls }) => [what, calls.get("Login")])),
      },
    );
    expect(await Promise.all(of(shut).map(async ({ what, wallet }) => [what, await statusOf(wallet)]))).toEqual(
      of(shut).map(({ what }) => [what, "disconnected"]),
    );
    for (const { wallet } of of(shut)) expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(503);

    isWell = true;
    well.resolve();
    const healedAt = performance.now();
    const [shutMs, slowMs] = await Promise.all([Promise.all(of(shut).map((one) => servedAfter(one, healedAt))), slowed]);
    await waitForVisits(load, 20);
    await load.stop();
    expect(failuresOf(load)).toEqual([]);
    keyhole.hookRelay.before = async () => {};
    console.info("served, ms after the start:", Object.fromEntries(slowMs), "after it was well:", Object.fromEntries(shutMs));
    // frpc itself waits up to 20 s between two tries.
    expect(Math.max(...shutMs.map(([, ms]) => ms))).toBeLessThan(25_000);

    await running.disposeAsync();
    await waitForFact(
      "frps has let go of what it held",
      () => {
        const now = readFrps();
        return now.pid === before.pid && now.descriptors <= before.descriptors + 10 && now.threads <= before.threads + 6 ? true : undefined;
      },
      { timeoutMs: 20_000, describe: () => JSON.stringify({ before, now: readFrps() }) },
    );
  });

  it("4: silent to two hundred logins at once: none is in, all are let go of, and frps keeps nothing of them", async () => {
    const { token } = await requestToken(keyhole, makeWallet());
    const before = readFrps();
    const well = Promise.withResolvers<void>();
    let waiting = 0;
    keyhole.hookRelay.before = async () => {
      waiting += 1;
      await well.promise;
      throw new Error("cut");
    };
    const raw = await Promise.all(Array.from({ length: 200 }, () => connectRaw({ port: keyhole.controlPort })));
    const answers = Promise.all(raw.map((client) => client.login(loginOf(token))));
    await waitForFact("two hundred wait", () => (waiting === 200 ? true : undefined), { describe: () => String(waiting) });
    const during = readFrps();
    well.resolve();
    expect((await answers).filter(({ error }) => typeof error !== "string" || error === "")).toEqual([]);
    for (const client of raw) client[Symbol.dispose]();
    keyhole.hookRelay.before = async () => {};
    const healedAt = performance.now();
    using client = await connectRaw({ port: keyhole.controlPort });
    expect((await client.login(loginOf(token)))["error"] ?? "").toBe("");
    expect(performance.now() - healedAt).toBeLessThan(3000);
    await waitForFact(
      "frps has let go of them",
      () => {
        const now = readFrps();
        return now.pid === before.pid && now.descriptors <= before.descriptors + 10 && now.threads <= before.threads + 6 ? true : undefined;
      },
      { timeoutMs: 15_000, describe: () => JSON.stringify({ before, during, now: readFrps() }) },
    );
    expect(readFrps().memoryMb).toBeLessThan(before.memoryMb + 60);
  });
});

describe("a CloseProxy that is lost", () => {
  it("11: leaves nobody connected: within seconds the status says so, and a visitor has 503 at once", async () => {
    await using app = await startLocalApp("app");
    const wallets = Array.from({ length: 12 }, () => makeWallet());
    const clients = await Promise.all(wallets.map((wallet) => connectClient(keyhole, wallet, app.port)));
    await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "app")));
    let lost = 0;
    keyhole.hookRelay.before = async ({ op }) => {
      if (op !== "CloseProxy") return;
      lost += 1;
      await cut();
    };
    await Promise.all(clients.map((client) => client.end("SIGKILL")));
    const killedAt = performance.now();
    await waitForFact("every one is disconnected", async () => {
      const statuses = await Promise.all(wallets.map(statusOf));
      return statuses.every((status) => status === "disconnected") ? true : undefined;
    });
    const ms = Math.round(performance.now() - killedAt);
    expect([lost > 0, ms < 10_000]).toEqual([true, true]);
    for (const wallet of wallets) expect((await visit(keyhole.edgePort, hostOf(wallet))).status).toBe(503);
    console.info(`all of ${wallets.length} disconnected after ${ms} ms, with ${lost} CloseProxies lost`);
    keyhole.hookRelay.before = async () => {};
  });
});
