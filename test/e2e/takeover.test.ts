import type { AddressInfo } from "node:net";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient, type DesktopClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type KeyholeProcess, startKeyholeProcess } from "../support/keyhole-process.ts";
import { startLocalApp } from "../support/local-app.ts";
import { hostOf, servedBy } from "../support/served-by.ts";
import { startVisiting, visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

let keyhole: KeyholeProcess;
beforeAll(async () => {
  keyhole = await startKeyholeProcess();
});
afterAll(() => keyhole[Symbol.asyncDispose]());

/** A network that can be cut: a relay in front of the control port. */
async function startRelay(port: number): Promise<AsyncDisposable & { readonly port: number; cut(): void; mend(): void }> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((socket) => {
    if (isCut) return void socket.destroy();
    const out = connectTcp(port, "127.0.0.1");
    for (const end of [socket, out]) {
      sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        sockets.delete(end);
        socket.destroy();
        out.destroy();
      });
    }
    socket.pipe(out).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => {
      isCut = false;
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("takeover", () => {
  it("2: ten takeovers under 50 requests a second fail none", async () => {
    const apps = [await startLocalApp("app 0"), await startLocalApp("app 1")];
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, 1);
    const connect = async (port: number): Promise<DesktopClient> => {
      const client = startFrpcOn(keyhole, text.replace("localPort = 1\n", `localPort = ${port}\n`));
      await client.saw("start proxy success");
      return client;
    };
    const clients = [await connect(apps[0]?.port ?? 0)];
    await servedBy(keyhole, wallet, "app 0", 10_000);
    const load = startVisiting(keyhole.edgePort, hostOf(wallet), { everyMs: 20, paths: ["/?ms=5", "/?ms=60", "/?ms=130", "/?ms=190"] });
    for (let round = 1; round <= 10; round += 1) {
      const app = apps[round % 2];
      const before = load.visits.length;
      clients.push(await connect(app?.port ?? 0));
      const served = (): number => load.visits.slice(before).filter((one) => !(one instanceof Error) && one.body === app?.name).length;
      await waitForFact(`${app?.name} has served 15 requests after takeover ${round}`, () => (served() >= 15 ? true : undefined));
      await clients[round - 1]?.end("SIGTERM");
    }
    await load.stop();
    const failures = load.visits
      .filter((one) => one instanceof Error || one.status !== 200)
      .map((one) => (one instanceof Error ? one.message : `${one.status} ${one.body.slice(0, 200)}`));
    expect(failures).toEqual([]);
    expect(load.visits.length).toBeGreaterThan(150);
    for (const client of clients) await client[Symbol.asyncDispose]();
    for (const app of apps) await app[Symbol.asyncDispose]();
  });

  it("2: of two clients of one key the newer serves, the older is told why, nothing flaps, and the older is back when the newer goes", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    await servedBy(keyhole, wallet, "older", 10_000);
    await using second = startFrpcOn(keyhole, text.replace(`localPort = ${older.port}`, `localPort = ${newer.port}`));
    await second.saw("start proxy success");
    await first.saw("REPLACED_BY_NEWER_CLIENT");
    const load = startVisiting(keyhole.edgePort, hostOf(wallet), { everyMs: 50 });
    const refusals = (): number => first.output().split("REPLACED_BY_NEWER_CLIENT").length - 1;
    await waitForFact("the older was refused four times", () => (refusals() >= 4 ? true : undefined), { timeoutMs: 40_000 });
    await load.stop();
    expect(new Set(load.visits.map((one) => (one instanceof Error ? one.message : one.body)))).toEqual(new Set(["newer"]));
    await second.end("SIGTERM");
    await servedBy(keyhole, wallet, "older", 25_000);
  });

  it("2: a newer client that was cut off for 20 s while an older one retried is back afterwards, and the older is refused", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    await using relay = await startRelay(keyhole.controlPort);
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    const second = startFrpcOn(
      keyhole,
      text
        .replace(`localPort = ${older.port}`, `localPort = ${newer.port}`)
        .replace(`serverPort = ${keyhole.controlPort}`, `serverPort = ${relay.port}`),
    );
    await second.saw("start proxy success");
    await servedBy(keyhole, wallet, "newer", 10_000);
    await first.saw("REPLACED_BY_NEWER_CLIENT");

    relay.cut();
    const cutAt = performance.now();
    first.mark();
    await servedBy(keyhole, wallet, "older", 25_000);
    await waitForFact("20 s are over", () => (performance.now() - cutAt > 20_000 ? true : undefined), { timeoutMs: 30_000, everyMs: 100 });
    first.mark();
    relay.mend();
    await servedBy(keyhole, wallet, "newer", 25_000);
    await first.saw("REPLACED_BY_NEWER_CLIENT");
    await second[Symbol.asyncDispose]();
  });

  it("2: of two clients that start at the same moment one serves, and only one", async () => {
    await using one = await startLocalApp("one");
    await using two = await startLocalApp("two");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, one.port);
    await using first = startFrpcOn(keyhole, text);
    await using second = startFrpcOn(keyhole, text.replace(`localPort = ${one.port}`, `localPort = ${two.port}`));
    await waitForFact(
      "one of them is refused",
      () => ([first, second].some((client) => client.output().includes("REPLACED_BY_NEWER_CLIENT")) ? true : undefined),
      { timeoutMs: 30_000 },
    );
    const bodies = new Set<string>();
    for (let index = 0; index < 20; index += 1) bodies.add((await visit(keyhole.edgePort, hostOf(wallet))).body);
    expect(bodies.size).toBe(1);
    expect(["one", "two"]).toContain([...bodies][0]);
  });
});

describe("frps killed", () => {
  it("7: frps is back by itself, and so is every client, with the ticket it had", async () => {
    const apps = [await startLocalApp("a"), await startLocalApp("b"), await startLocalApp("c")];
    const wallets = apps.map(() => makeWallet());
    const clients = await Promise.all(wallets.map((wallet, index) => connectClient(keyhole, wallet, apps[index]?.port ?? 0)));
    const formerPid = keyhole.frpsPid();
    const before = keyhole.output().length;
    process.kill(formerPid, "SIGKILL");
    await waitForFact("another frps runs", () => (keyhole.frpsPid() !== formerPid ? true : undefined));
    for (const [index, wallet] of wallets.entries()) await servedBy(keyhole, wallet, apps[index]?.name ?? "", 20_000);
    const resumed = keyhole
      .output()
      .slice(before)
      .split("\n")
      .filter((line) => line.includes("login admitted") && line.includes('"isResumed":true'));
    expect(resumed.length).toBeGreaterThanOrEqual(3);
    for (const client of clients) await client[Symbol.asyncDispose]();
    for (const app of apps) await app[Symbol.asyncDispose]();
  });
});
