/** One part is killed at the worst moment: what it takes with it, and what is back without help (invariants 2, 6 and 7). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connectClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type KeyholeParts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { startLocalApp } from "../support/local-app.ts";
import { failuresOf, servedBy, startVisitingWallet, waitForVisits } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { makeWallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts({ hookRelay: true });
});
afterEach(() => {
  keyhole.hookRelay.before = async () => {};
  keyhole.hookRelay.after = async () => {};
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

describe("the supervisor killed with -9", () => {
  it("7: loses nothing: logins go on, and the next one takes over the same frps without a failed request", async () => {
    await using app = await startLocalApp("app");
    const [wallet, late] = [makeWallet(), makeWallet()];
    await using _client = await connectClient(keyhole, wallet, app.port);
    await servedBy(keyhole, wallet, "app");
    const frps = keyhole.frpsPid();
    const load = startVisitingWallet(keyhole, wallet);
    await keyhole.end("supervisor", "SIGKILL");
    await using _more = await connectClient(keyhole, late, app.port);
    await servedBy(keyhole, late, "app");
    await keyhole.start("supervisor");
    await waitForVisits(load, 30);
    await load.stop();
    expect(failuresOf(load)).toEqual([]);
    expect(keyhole.frpsPid()).toBe(frps);
    const facts = keyhole.readStatus().parts.find(({ part }) => part === "supervisor")?.status?.facts;
    expect(facts).toMatchObject({ frps: "ready", frpsPid: frps, adopted: "yes", restarts: 0 });
  });
});

describe("the plugin killed with -9", () => {
  it("7: under a live tunnel fails no request; afterwards it knows the session, and can cut it", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    await servedBy(keyhole, wallet, "older");
    const load = startVisitingWallet(keyhole, wallet);
    await keyhole.end("plugin", "SIGKILL");
    await waitForVisits(load, 50);
    await keyhole.start("plugin");
    await waitForVisits(load, 30);
    await load.stop();
    expect(failuresOf(load)).toEqual([]);
    const status = await visit(keyhole.edgePort, "tunnel.localhost", { path: `/v1/tunnel/status/${wallet.label}` });
    expect(JSON.parse(status.body)).toMatchObject({ status: "connected", routable: true, stale: false });
    // Frozen, so that only a cut of its connection ends it in time: the new plugin has learned from the edge which one that is.
    first.signal("SIGSTOP");
    await using second = startFrpcOn(keyhole, text.replace(`localPort = ${older.port}`, `localPort = ${newer.port}`));
    await second.saw("start proxy success", 5000);
    await servedBy(keyhole, wallet, "newer");
    expect(second.output()).not.toContain("HANDOVER_PENDING");
  });

  it("7: between Login and NewProxy: serving again within 3 s of the plugin's return, though frpc by itself waits 30 s", async () => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, app.port);
    const killed = Promise.withResolvers<void>();
    keyhole.hookRelay.before = async ({ op }) => {
      if (op !== "NewProxy") return;
      keyhole.hookRelay.before = async () => {};
      await keyhole.end("plugin", "SIGKILL");
      killed.resolve();
      throw new Error("the plugin was killed");
    };
    await using client = startFrpcOn(keyhole, text);
    await killed.promise;
    await client.saw("start error");
    await keyhole.start("plugin");
    await servedBy(keyhole, wallet, "app", 3000);
  });

  it("2: between kick and answer: one of the two is back without help, the newer one in the end, and nothing flaps", async () => {
    await using older = await startLocalApp("older");
    await using newer = await startLocalApp("newer");
    const wallet = makeWallet();
    const text = await requestClientConfig(keyhole, wallet, older.port);
    await using first = startFrpcOn(keyhole, text);
    await first.saw("start proxy success");
    await servedBy(keyhole, wallet, "older");
    const killed = Promise.withResolvers<void>();
    keyhole.hookRelay.after = async ({ op, body }, answer) => {
      // The newcomer's own login: the kick, a login too, carries a nonce and is answered before it.
      if (op !== "Login" || body.includes("keyhole_kick") || !answer.includes('"reject":false')) return;
      keyhole.hookRelay.after = async () => {};
      await keyhole.end("plugin", "SIGKILL");
      killed.resolve();
      throw new Error("the plugin was killed");
    };
    await using second = startFrpcOn(keyhole, text.replace(`localPort = ${older.port}`, `localPort = ${newer.port}`));
    await killed.promise;
    await keyhole.start("plugin");
    await servedBy(keyhole, wallet, "newer", 30_000);
    const load = startVisitingWallet(keyhole, wallet);
    first.mark();
    await first.saw("REPLACED_BY_NEWER_CLIENT", 30_000);
    await waitForVisits(load, 50);
    await load.stop();
    expect(new Set(load.visits.map((one) => (one instanceof Error ? one.message : one.body)))).toEqual(new Set(["newer"]));
    await second[Symbol.asyncDispose]();
  });
});

describe("the token service killed with -9", () => {
  it("7: is not missed for as many reconnects as a client makes in an hour, nor by a plugin that starts meanwhile", async () => {
    await using app = await startLocalApp("app");
    const wallets = Array.from({ length: 10 }, () => makeWallet());
    const texts = await Promise.all(wallets.map((wallet) => requestClientConfig(keyhole, wallet, app.port)));
    await keyhole.end("token", "SIGKILL");
    // A frpc that is refused waits 20 s at most: 180 times an hour.
    for (let round = 0; round < 18; round += 1) {
      if (round === 9) {
        await keyhole.end("plugin", "SIGKILL");
        await keyhole.start("plugin");
      }
      const clients = texts.map((text) => startFrpcOn(keyhole, text));
      await Promise.all(clients.map((client) => client.saw("start proxy success", 20_000)));
      if (round % 6 === 0) await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "app")));
      await Promise.all(clients.map((client) => client.end("SIGKILL")));
    }
    const refused = await visit(keyhole.edgePort, "tunnel.localhost", {
      path: "/v1/tunnel/status/0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    });
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([503, { code: "SERVICE_UNAVAILABLE" }]);
    expect(keyhole.readStatus().parts.filter(({ state }) => state !== "up")).toMatchObject([{ part: "token", state: "down" }]);
    await keyhole.start("token");
    await requestClientConfig(keyhole, makeWallet(), app.port);
  });
});
