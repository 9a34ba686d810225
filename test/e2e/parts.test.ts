/** The parts as processes of their own, restarted as systemd restarts a unit: nobody notices, and the status tells the truth. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectClient } from "../support/desktop-client.ts";
import { type KeyholeParts, type Part, parts, startKeyholeParts } from "../support/keyhole-parts.ts";
import { startLocalApp } from "../support/local-app.ts";
import { failuresOf, hostOf, servedBy, startVisitingWallet, waitForVisits } from "../support/served-by.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";
import { makeWallet } from "../support/wallet.ts";

let keyhole: KeyholeParts;
beforeAll(async () => {
  keyhole = await startKeyholeParts({ heldSockets: true });
});
afterAll(() => keyhole?.[Symbol.asyncDispose]());

/** Resolves when the status says that all is well, and that all parts are up. */
const allIsWell = (): Promise<true> =>
  waitForFact("all is well", () => (keyhole.readStatus().isWell ? true : undefined), {
    timeoutMs: 20_000,
    everyMs: 50,
    describe: () => JSON.stringify(keyhole.readStatus()),
  });

describe("a restart of one part, as systemd does it", () => {
  it.each(parts)("7: of the %s fails no request of visitors, and the tunnel goes on", async (part: Part) => {
    await using app = await startLocalApp("app");
    const wallet = makeWallet();
    await using _client = await connectClient(keyhole, wallet, app.port);
    await servedBy(keyhole, wallet, "app");
    const frps = keyhole.frpsPid();
    const load = startVisitingWallet(keyhole, wallet);
    for (let round = 0; round < 3; round += 1) {
      const pid = keyhole.pidOf(part);
      await keyhole.end(part, "SIGTERM");
      const down = keyhole.readStatus();
      expect(down.parts.filter(({ state }) => state !== "up").map((one) => one.part)).toEqual([part]);
      expect(down.isWell).toBe(false);
      await keyhole.start(part);
      expect(keyhole.readStatus().parts.find((one) => one.part === part)).toMatchObject({
        state: "up",
        status: { pid: keyhole.pidOf(part) },
      });
      expect(keyhole.pidOf(part)).not.toBe(pid);
      await waitForVisits(load, 30);
      await allIsWell();
    }
    await load.stop();
    expect(failuresOf(load)).toEqual([]);
    expect(load.visits.length).toBeGreaterThan(100);
    expect(keyhole.frpsPid()).toBe(frps);
  });
});

describe("the edge killed with -9", () => {
  it("7: every client is back without help, and requests that come meanwhile are answered when they are", async () => {
    await using app = await startLocalApp("app");
    const wallets = Array.from({ length: 5 }, () => makeWallet());
    const clients = await Promise.all(wallets.map((wallet) => connectClient(keyhole, wallet, app.port)));
    await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "app")));
    const frps = keyhole.frpsPid();
    await keyhole.end("edge", "SIGKILL");
    const waiting = wallets.map((wallet) => visit(keyhole.edgePort, hostOf(wallet)));
    await keyhole.start("edge");
    expect((await Promise.all(waiting)).map(({ status, body }) => `${status} ${body.slice(0, 40)}`)).toEqual(wallets.map(() => "200 app"));
    await Promise.all(wallets.map((wallet) => servedBy(keyhole, wallet, "app")));
    await allIsWell();
    expect(keyhole.frpsPid()).toBe(frps);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });
});
