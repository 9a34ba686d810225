/** What was revoked does not serve: told or found, before, while and after somebody logs in. */
import type { Label } from "@keyhole/core";
import { Fault } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeClaim, makeEvmHolder } from "../support/credentials.ts";
import {
  admitted,
  alice,
  type BenchClient,
  bob,
  codeOf,
  type HookBench,
  loginContent,
  showOnDashboard,
  startHookBench,
  ticketOf,
} from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const later = (seconds: number): void => {
  bench.now = new Date(bench.now.getTime() + seconds * 1000);
};
async function connect(label: Label, token: string, address: string): Promise<BenchClient> {
  const client = admitted(await bench.login(label, token, "", address));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client;
}
const held = (): { readonly promise: Promise<void>; readonly release: () => void } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, release: resolve };
};

describe("a revocation", () => {
  it("12: that is enforced takes the label from the edge, then cuts and kicks, and nobody else is touched", async () => {
    const token = await bench.buyToken(alice);
    const client = await connect(alice, token, "127.0.0.1:40001");
    const bobs = await connect(bob, await bench.buyToken(bob), "127.0.0.1:40002");
    bench.doorCalls.length = 0;
    await bench.revoke(alice);
    await bench.plugin.enforceRevocations();
    expect(bench.doorCalls[0]).toBe(`delete ${alice} ended`);
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.doorCalls).toEqual([`delete ${alice} ended`, "cut 127.0.0.1:40001"]);
    expect([await statusOf(alice), await statusOf(bob)]).toEqual(["disconnected", "connected"]);
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
    expect(codeOf(await bench.login(alice, token, client.ticket))).toBe("TOKEN_REVOKED");
    expect(bench.kicked).not.toContain(bobs.ticket);
  });

  it("12: is acknowledged when the edge knows, without waiting for a client that takes long to go", async () => {
    await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    const edge = held();
    bench.onDelete = () => edge.promise;
    bench.onKick = () => new Promise(() => {});
    await bench.revoke(alice);
    let isAcknowledged = false;
    const enforcing = bench.plugin.enforceRevocations().then(() => {
      isAcknowledged = true;
    });
    await waitForFact("the edge is being told", () => (bench.doorCalls.includes(`delete ${alice} ended`) ? true : undefined));
    await bench.plugin.reconcile();
    expect([isAcknowledged, bench.doorCalls.includes("cut 127.0.0.1:40001")]).toEqual([false, false]);
    edge.release();
    await enforcing;
    await waitForFact("the cut", () => (bench.doorCalls.includes("cut 127.0.0.1:40001") ? true : undefined));
  });

  it("12: that the edge could not be told is not acknowledged, and the client is cut and kicked all the same", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    bench.onDelete = async () => {
      throw new Fault("EDGE_UNREACHABLE", "the edge did not answer");
    };
    await bench.revoke(alice);
    await expect(bench.plugin.enforceRevocations()).rejects.toThrow("the edge could not be told");
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
  });

  it("12: that nobody tells of is found within two seconds", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    await bench.revoke(alice);
    const startedAt = performance.now();
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  it("12: of a label that somebody serves with a newer credential leaves it alone", async () => {
    await bench.revoke(alice);
    later(2);
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    await bench.plugin.enforceRevocations();
    expect([await statusOf(alice), bench.kicked]).toEqual(["connected", []]);
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  });

  it("12: by an exclusive token ends what is older, and the client of that token waits until frps has let go of it", async () => {
    const thief = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40666");
    later(1);
    const mine = await bench.buyToken(alice, { isExclusive: true });
    const kick = held();
    bench.onKick = (runId) => (runId === thief.ticket ? kick.promise : Promise.resolve());
    await bench.plugin.enforceRevocations();
    await waitForFact("the kick is under way", () => (bench.kicked.includes(thief.ticket) ? true : undefined));
    let isIn = false;
    const login = bench.login(alice, mine, "", "127.0.0.1:40001").then((client) => {
      isIn = true;
      return client;
    });
    await bench.login(bob, await bench.buyToken(bob));
    expect(isIn).toBe(false);
    kick.release();
    expect(codeOf(await bench.newProxy(admitted(await login)))).toBe("admitted");
  });

  it("2: a thief's session that it ends gains nothing by the token that ended it", async () => {
    const stolen = await bench.buyToken(alice);
    const thief = await connect(alice, stolen, "127.0.0.1:40666");
    later(1);
    await bench.buyToken(alice, { isExclusive: true });
    // Before anybody enforces it, the thief comes again: that must not renew what lives.
    expect(codeOf(await bench.login(alice, stolen))).toBe("TOKEN_REVOKED");
    await waitForFact("the kick", () => (bench.kicked.includes(thief.ticket) ? true : undefined));
    expect(await statusOf(alice)).toBe("disconnected");
  });
});

describe("a login that is being decided", () => {
  it("12: with what is revoked after it was read is refused, or its session is gone when the revocation is acknowledged", async () => {
    const token = await bench.buyToken(alice);
    const reading = held();
    let isRead = false;
    bench.onRead = () => {
      isRead = true;
      return reading.promise;
    };
    const login = bench.login(alice, token);
    await waitForFact("its records are read", () => (isRead ? true : undefined));
    await bench.revoke(alice);
    await bench.plugin.enforceRevocations();
    reading.release();
    expect(codeOf(await login)).toBe("TOKEN_REVOKED");
    expect(bench.plugin.stats().sessions).toBe(0);
  });

  it("12: and waits for the former client to go, is ended too", async () => {
    const token = await bench.buyToken(alice);
    const former = await connect(alice, token, "127.0.0.1:40001");
    later(1);
    const kick = held();
    bench.onKick = (runId) => (runId === former.ticket ? kick.promise : Promise.resolve());
    const login = bench.login(alice, token, "", "127.0.0.1:40002");
    await waitForFact("the hand-over", () => (bench.kicked.includes(former.ticket) ? true : undefined));
    await bench.revoke(alice);
    await bench.plugin.enforceRevocations();
    kick.release();
    expect(codeOf(await login)).toBe("SESSION_ENDED");
    expect([bench.plugin.stats().sessions, bench.doorCalls.includes(`delete ${alice} ended`)]).toEqual([0, true]);
    await waitForFact("its connection is cut", () => (bench.doorCalls.includes("cut 127.0.0.1:40002") ? true : undefined));
  });

  it.each([
    ["a claim too", 0],
    ["a claim of a clock that is 50 s ahead too, and it does not come back when our clock has caught up", 50],
  ])("12: of every kind is caught: %s", async (_what, ahead) => {
    const wallet = makeEvmHolder();
    const iat = Math.floor(bench.now.getTime() / 1000) + ahead;
    const metas = await makeClaim(wallet, { claim: { iat, exp: iat + 300 } });
    const reply = await bench.call("Login", loginContent({ metas }));
    const { user, run_id, metas: session } = reply.body.content as BenchClient["user"];
    const client = { label: wallet.label as Label, ticket: run_id, user: { user, run_id, metas: session } };
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
    await bench.revoke(client.label);
    await bench.plugin.enforceRevocations();
    expect(await statusOf(client.label)).toBe("disconnected");
    expect(codeOf(await bench.call("Login", loginContent({ metas, run_id })))).toBe("TOKEN_REVOKED");
    later(ahead + 5);
    expect(codeOf(await bench.call("Login", loginContent({ metas })))).toBe("TOKEN_REVOKED");
  });
});

describe("a plugin that was away", () => {
  it("7, 12: does not take over what was revoked meanwhile: the edge is told, and it is kicked", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    const bobs = await connect(bob, await bench.buyToken(bob), "127.0.0.1:40002");
    bench.frps = showOnDashboard([client, bobs]);
    await bench.revoke(alice);
    bench.doorCalls.length = 0;
    await bench.restart();
    expect(bench.kicked).toEqual([client.ticket]);
    expect(bench.doorCalls).toContain(`delete ${alice} ended`);
    expect([await statusOf(alice), await statusOf(bob)]).toEqual(["disconnected", "connected"]);
  });

  it("12: acknowledges nothing until it knows who is served", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    bench.frps = "broken";
    await bench.restart();
    await bench.revoke(alice);
    await expect(bench.plugin.enforceRevocations()).rejects.toThrow("it is not known yet who is served");
    bench.frps = showOnDashboard([client]);
    await waitForFact("it is kicked", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    await bench.plugin.enforceRevocations();
    expect(await statusOf(alice)).toBe("disconnected");
  });
});

describe("a key that must not be trusted any more", () => {
  it("12: ends every session of its kind, and nobody else's; who has a good credential is back by a login", async () => {
    const token = await bench.buyToken(alice);
    const client = await connect(alice, token, "127.0.0.1:40001");
    const bobs = await connect(bob, await bench.buyToken(bob, { kind: "jwt" }), "127.0.0.1:40002");
    bench.doorCalls.length = 0;
    expect(await bench.plugin.endSessionsOf(["hmac"])).toBe(1);
    expect(bench.doorCalls[0]).toBe(`delete ${alice} ended`);
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40001");
    expect([await statusOf(alice), await statusOf(bob)]).toEqual(["disconnected", "connected"]);
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
    await connect(alice, token, "127.0.0.1:40001");
    expect(bench.kicked).not.toContain(bobs.ticket);
    await waitForFact("its end is recorded", async () =>
      (await bench.sessions.findSession(alice, ticketOf(bench, client)?.generation ?? 0))?.end === "evicted" ? true : undefined,
    );
    expect(await bench.plugin.endSessionsOf(["jwt", "hmac"])).toBe(2);
    expect(await bench.plugin.endSessionsOf(["claim", "stellar-jwt"])).toBe(0);
  });

  it("12: lets nobody in whose credential was checked before", async () => {
    const reading = held();
    let isRead = false;
    bench.onRead = () => {
      isRead = true;
      return reading.promise;
    };
    const login = bench.login(alice, await bench.buyToken(alice));
    await waitForFact("its records are read", () => (isRead ? true : undefined));
    expect(await bench.plugin.endSessionsOf(["hmac"])).toBe(0);
    reading.release();
    expect(codeOf(await login)).toBe("SESSION_ENDED");
    expect(bench.plugin.stats().sessions).toBe(0);
  });

  it("7, 12: ends whom a plugin before this one admitted too, and says nothing while it does not know them", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    bench.frps = "broken";
    await bench.restart();
    await expect(bench.plugin.endSessionsOf(["hmac"])).rejects.toThrow("it is not known yet who is served");
    bench.frps = showOnDashboard([client]);
    expect(await bench.plugin.endSessionsOf(["hmac"])).toBe(1);
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
  });
});

async function statusOf(label: Label): Promise<string> {
  return (await bench.plugin.readStatus(label)).status;
}
