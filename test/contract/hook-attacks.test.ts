/** What an attacker of the running plugin found: ranks after a renewal, and many deadlines at once. */
import { type Label, parseLabel } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { alice, type BenchClient, type HookBench, showOnDashboard, startHookBench } from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const aMinuteLater = (): void => {
  bench.now = new Date(bench.now.getTime() + 60_000);
};

/** Logs in and opens the tunnel. */
async function connect(label: Label, token: string, runId: string, address: string): Promise<BenchClient> {
  const client = await bench.login(label, token, runId, address);
  if (typeof client === "string") throw new Error(client);
  await bench.newProxy(client);
  return client;
}

/** The owner connects, and renews while connected. */
async function renewWhileConnected(): Promise<{ first: string; owner: BenchClient }> {
  const first = await bench.buyToken(alice);
  const owner = await connect(alice, first, "", "127.0.0.1:40000");
  aMinuteLater();
  await bench.buyToken(alice);
  aMinuteLater();
  return { first, owner };
}

describe("2: a thief with the first token, after the owner has renewed while connected", () => {
  it("who slips in during a network cut is displaced when the owner is back with the ticket", async () => {
    const { first, owner } = await renewWhileConnected();
    await bench.closeProxy(owner);
    await connect(alice, first, "", "127.0.0.1:40001");
    expect(await bench.login(alice, first, owner.ticket, "127.0.0.1:40002")).toMatchObject({ ticket: owner.ticket });
  });

  it("does not push out the owner who has reconnected once since", async () => {
    const { first, owner } = await renewWhileConnected();
    await bench.closeProxy(owner);
    await connect(alice, first, owner.ticket, "127.0.0.1:40002");
    aMinuteLater();
    expect(await bench.login(alice, first, "", "127.0.0.1:40001")).toMatch(/^NEWER_CREDENTIAL_IN_USE/);
  });

  it("gains nothing by a restart of the plugin in between", async () => {
    const { first, owner } = await renewWhileConnected();
    await waitForFact("the session is recorded", async () => ((await bench.sessions.highestGeneration(alice)) > 0 ? true : undefined));
    bench.frps = showOnDashboard([owner]);
    await bench.restart();
    aMinuteLater();
    await bench.closeProxy(owner);
    await connect(alice, first, "", "127.0.0.1:40001");
    expect(await bench.login(alice, first, owner.ticket, "127.0.0.1:40002")).toMatchObject({ ticket: owner.ticket });
  });
});

describe("2: within the second in which a token is bought, whose issued-at tells no more than the second", () => {
  /** To so many milliseconds of the next second. */
  const turnTo = (ms: number): void => {
    bench.now = new Date((Math.floor(bench.now.getTime() / 1000) + 1) * 1000 + ms);
  };
  const later = (ms: number): void => {
    bench.now = new Date(bench.now.getTime() + ms);
  };

  it("who was displaced before gains no rank by it", async () => {
    const first = await bench.buyToken(alice);
    const older = await connect(alice, first, "", "127.0.0.1:40000");
    aMinuteLater();
    const second = await bench.buyToken(alice);
    turnTo(300);
    const newer = await connect(alice, second, "", "127.0.0.1:40001");
    later(500);
    await bench.buyToken(alice);
    later(100);
    expect(await bench.login(alice, first, older.ticket, "127.0.0.1:40002")).toMatch(/^REPLACED_BY_NEWER_CLIENT/);
    expect(bench.kicked).toEqual([older.ticket]);
    expect(await bench.login(alice, second, newer.ticket, "127.0.0.1:40001")).toMatchObject({ ticket: newer.ticket });
  });

  it("who was cut off afterwards has its rank by it, and displaces a thief with the first token", async () => {
    const first = await bench.buyToken(alice);
    const owner = await connect(alice, first, "", "127.0.0.1:40000");
    turnTo(100);
    const renewed = Math.floor(bench.now.getTime() / 1000);
    await bench.buyToken(alice);
    later(300);
    await bench.closeProxy(owner);
    const generation = await bench.sessions.highestGeneration(alice);
    await waitForFact("it counts for the owner", async () => {
      const issuedAt = (await bench.sessions.findSession(alice, generation))?.issuedAt;
      return issuedAt?.getTime() === renewed * 1000 ? true : undefined;
    });
    later(300);
    const thief = await connect(alice, first, "", "127.0.0.1:40001");
    expect(await bench.login(alice, first, owner.ticket, "127.0.0.1:40002")).toMatchObject({ ticket: owner.ticket });
    expect(bench.kicked).toEqual([thief.ticket]);
  });

  it("who was gone before gains no rank by it", async () => {
    const first = await bench.buyToken(alice);
    const thief = await connect(alice, first, "", "127.0.0.1:40000");
    aMinuteLater();
    const second = await bench.buyToken(alice);
    turnTo(300);
    await bench.closeProxy(thief);
    const owner = await connect(alice, second, "", "127.0.0.1:40001");
    later(500);
    await bench.buyToken(alice);
    expect(await bench.login(alice, first, thief.ticket, "127.0.0.1:40002")).toMatch(/^REPLACED_BY_NEWER_CLIENT/);
    expect(await bench.login(alice, second, owner.ticket, "127.0.0.1:40001")).toMatchObject({ ticket: owner.ticket });
  });
});

describe("deadlines", () => {
  it("12: of many at once every one is enforced at the edge before the first slow kick is over", async () => {
    const labels = Array.from({ length: 5 }, (_, index) => parseLabel(`0x${String(index + 1).padStart(40, "0")}`) as Label);
    for (const [index, label] of labels.entries()) await connect(label, await bench.buyToken(label), "", `127.0.0.1:4000${index}`);
    const slow = Promise.withResolvers<void>();
    bench.onKick = () => slow.promise;
    bench.now = new Date(bench.now.getTime() + 3_700_000);
    await waitForFact("all are taken from the edge", () =>
      labels.every((label) => bench.doorCalls.includes(`delete ${label} ended`)) ? true : undefined,
    );
    slow.resolve();
    await waitForFact("all are kicked", () => (bench.kicked.length === labels.length ? true : undefined));
  });
});
