import { randomBytes } from "node:crypto";
import { Fault, mintTicket } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admitted, alice, type BenchClient, bob, codeOf, type HookBench, showOnDashboard, startHookBench } from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const minutes = (count: number): void => {
  bench.now = new Date(bench.now.getTime() + count * 60_000);
};
const connected = async (token: string, runId = "", clientAddress = "127.0.0.1:40000"): Promise<BenchClient> => {
  const client = admitted(await bench.login(alice, token, runId, clientAddress));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client;
};
const statusOf = async () => (await bench.plugin.readStatus(alice)).status;

describe("a plugin that starts while frps goes on", () => {
  it("7: adopts who is served, with what was known of it, tells the edge in one piece, and kicks who has no proxy at once", async () => {
    const client = await connected(await bench.buyToken(alice));
    const since = bench.now;
    const idle = admitted(await bench.login(bob, await bench.buyToken(bob)));
    bench.doorCalls.length = 0;
    minutes(5);
    const view = showOnDashboard([client]);
    bench.frps = { ...view, clients: [...view.clients, { runId: idle.ticket, user: bob, isOnline: true }] };
    await bench.restart();
    expect(bench.doorCalls).toEqual([`replace ${alice}`]);
    expect(bench.kicked).toEqual([idle.ticket]);
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", connectedSince: since });
    expect(bench.plugin.stats()).toMatchObject({ sessions: 1, connected: 1, isAdopted: true, reconciledAt: bench.now });
    await bench.closeProxy(client);
    expect(await statusOf()).toBe("disconnected");
  });

  it("2: a login waits until the holder of its label is known, and then displaces it, its connection first", async () => {
    const token = await bench.buyToken(alice);
    const former = await connected(token, "", "127.0.0.1:40001");
    bench.frps = "broken";
    await bench.restart();
    minutes(1);
    const login = bench.login(alice, token, "", "127.0.0.1:40002");
    const other = bench.login(bob, await bench.buyToken(bob));
    bench.doorCalls.length = 0;
    bench.frps = showOnDashboard([former]);
    const newcomer = admitted(await login);
    expect(bench.kicked).toEqual([former.ticket]);
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40001");
    expect(codeOf(await bench.newProxy(newcomer))).toBe("admitted");
    expect(codeOf(await bench.login(alice, token, former.ticket))).toBe("REPLACED_BY_NEWER_CLIENT");
    expect(codeOf(await other)).toBe("admitted");
  });

  it("2, 4: while nobody can say who is served, logins and proxies are refused within a second, for now, and the edge's map is left alone", async () => {
    const token = await bench.buyToken(alice);
    const client = await connected(token);
    bench.frps = "broken";
    await bench.restart();
    bench.doorCalls.length = 0;
    const startedAt = performance.now();
    const replies = await Promise.all([bench.login(alice, token), bench.newProxy(client)]);
    expect(performance.now() - startedAt).toBeLessThan(950);
    expect(replies.map(codeOf)).toEqual(["STARTING_UP", "STARTING_UP"]);
    await waitForFact(
      "the client without a proxy is kicked, so that it asks soon again",
      () => bench.kicked.includes(client.ticket) || undefined,
    );
    await bench.plugin.pushAll();
    expect(bench.doorCalls).toEqual([]);
    expect(bench.plugin.stats()).toMatchObject({ isAdopted: false, reconciledAt: undefined });
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", routable: false, reason: "UNKNOWN", stale: true });
    bench.frps = "gone";
    await waitForFact("frps is known to be gone", () => bench.plugin.stats().isAdopted || undefined);
    expect(codeOf(await bench.login(alice, token))).toBe("admitted");
    expect(bench.log.lines.filter((line) => line.includes("could not be read"))).toHaveLength(1);
  });

  it("4: a store that cannot be read delays the adoption, and a login meanwhile says so", async () => {
    const token = await bench.buyToken(alice);
    const former = await connected(token);
    bench.frps = showOnDashboard([former]);
    bench.tokensFault = new Fault("STORE_UNAVAILABLE", "the disk is gone");
    const isRestarted = bench.restart();
    const replies = await waitForFact("a login is answered", async () => {
      const code = codeOf(await bench.login(alice, token).catch(() => "not yet"));
      return code === "not yet" ? undefined : code;
    });
    expect(replies).toBe("STORE_UNAVAILABLE");
    bench.tokensFault = undefined;
    await isRestarted;
    expect(await statusOf()).toBe("connected");
    expect(bench.kicked).toEqual([]);
  });

  it("2: ranks are what they were: an older token, and an older ticket, are refused", async () => {
    const stolen = await bench.buyToken(alice);
    const first = await connected(stolen);
    await bench.closeProxy(first);
    minutes(1);
    const owner = await connected(await bench.buyToken(alice));
    bench.frps = showOnDashboard([owner]);
    await bench.restart();
    expect(codeOf(await bench.login(alice, stolen))).toBe("NEWER_CREDENTIAL_IN_USE");
    expect(codeOf(await bench.login(alice, stolen, first.ticket))).toBe("NEWER_CREDENTIAL_IN_USE");
    expect(bench.kicked).toEqual([]);
  });

  it("2: a renewal that the former process had not noticed yet counts for who lived then, and for nobody else", async () => {
    const first = await bench.buyToken(alice);
    const owner = await connected(first);
    minutes(1);
    await bench.buyToken(alice);
    minutes(1);
    bench.frps = showOnDashboard([owner]);
    await bench.restart();
    expect(codeOf(await bench.login(alice, first))).toBe("NEWER_CREDENTIAL_IN_USE");
    // The owner is cut off, a thief slips in, and the plugin is restarted again: the thief came after the renewal.
    await bench.closeProxy(owner);
    minutes(1);
    const thief = await connected(first);
    bench.frps = showOnDashboard([thief]);
    await bench.restart();
    expect(codeOf(await bench.login(alice, first, owner.ticket))).toBe("admitted");
    expect(bench.kicked).toEqual([thief.ticket]);
  });

  it("2: of two sessions of one label that frps shows, the higher one is adopted and the other is kicked", async () => {
    const token = await bench.buyToken(alice);
    const ticketOfGeneration = (generation: number): string =>
      mintTicket(
        alice,
        { generation, issuedAt: bench.now, endsAt: new Date(bench.now.getTime() + 3_600_000), kind: "hmac" },
        bench.ring,
        randomBytes(16),
      );
    const [older, newer] = [ticketOfGeneration(bench.now.getTime() - 9), ticketOfGeneration(bench.now.getTime() - 5)];
    bench.frps = showOnDashboard(
      [newer, older].map((ticket) => ({ label: alice, ticket, user: { user: alice, metas: {}, run_id: ticket } })),
    );
    await bench.restart();
    expect(bench.kicked).toEqual([older]);
    expect(bench.plugin.stats().sessions).toBe(1);
    expect(codeOf(await bench.login(alice, token, older))).toBe("REPLACED_BY_NEWER_CLIENT");
  });

  it("12: the deadline of an adopted session is enforced, and its proxy under way is not judged by the ticket afterwards", async () => {
    const client = await connected(await bench.buyToken(alice), "", "127.0.0.1:40099");
    bench.frps = showOnDashboard([client]);
    await bench.restart();
    minutes(61);
    await waitForFact("the session is evicted", () => bench.kicked.includes(client.ticket) || undefined, { timeoutMs: 5000 });
    expect(bench.doorCalls).toContain(`delete ${alice} ended`);
    expect(bench.doorCalls).toContain("cut 127.0.0.1:40099");
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
  });

  it("12: a session whose deadline passed while the plugin was down is not adopted but kicked", async () => {
    const client = await connected(await bench.buyToken(alice));
    bench.frps = showOnDashboard([client]);
    minutes(61);
    await bench.restart();
    expect(bench.kicked).toEqual([client.ticket]);
    expect(await statusOf()).toBe("disconnected");
    expect(bench.doorCalls.at(-1)).toBe("replace ");
  });

  it("7: an adopted client that registers another proxy keeps its connection", async () => {
    const client = await connected(await bench.buyToken(alice), "", "127.0.0.1:40077");
    bench.frps = showOnDashboard([client]);
    await bench.restart();
    expect(codeOf(await bench.newProxy(client, { proxy_name: `${alice}.again` }))).toBe("admitted");
    expect(bench.doorCalls).not.toContain("cut 127.0.0.1:40077");
    await bench.closeProxy(client);
    expect(await statusOf()).toBe("connected");
  });

  it("7: pushes everything that it knows when it is asked to, and lets go only of connections that are nobody's", async () => {
    const client = await connected(await bench.buyToken(alice), "", "127.0.0.1:40031");
    await bench.plugin.pushAll();
    expect(bench.doorCalls.at(-1)).toBe(`replace ${alice}`);
    expect([...bench.claimed]).toEqual(["127.0.0.1:40031"]);
    bench.frps = showOnDashboard([client]);
    await bench.restart();
    await bench.plugin.pushAll();
    expect([...bench.claimed]).toEqual(["127.0.0.1:40031"]);
    // Nobody is left when the next plugin looks: what it was connected by is nobody's.
    bench.frps = { clients: [], proxies: [] };
    await bench.restart();
    await bench.plugin.pushAll();
    expect([...bench.claimed]).toEqual([]);
  });

  it("2, 7: a connection is nobody's when its session ended, and its own again when the client opens another tunnel on it", async () => {
    const client = await connected(await bench.buyToken(alice), "", "127.0.0.1:40032");
    bench.frps = showOnDashboard([client]);
    await bench.restart();
    await waitForFact("the adopted client's connection is claimed", () => bench.claimed.has("127.0.0.1:40032") || undefined);
    await bench.closeProxy(client);
    await waitForFact("it is released", () => !bench.claimed.has("127.0.0.1:40032") || undefined);
    expect(codeOf(await bench.newProxy(client, { proxy_name: `${alice}.again` }))).toBe("admitted");
    await waitForFact("it is claimed again", () => bench.claimed.has("127.0.0.1:40032") || undefined);
  });
});

describe("a plugin that was killed", () => {
  it("7: between Login and NewProxy: the client is kicked at once, though no row was written, and comes back with its ticket", async () => {
    const token = await bench.buyToken(alice);
    bench.rows = "lost";
    const client = admitted(await bench.login(alice, token));
    bench.frps = { clients: showOnDashboard([client]).clients, proxies: [] };
    await bench.restart();
    bench.rows = "kept";
    expect(bench.kicked).toEqual([client.ticket]);
    const back = admitted(await bench.login(alice, token, client.ticket));
    expect(back.ticket).toBe(client.ticket);
    expect(codeOf(await bench.newProxy(back))).toBe("admitted");
    expect(await statusOf()).toBe("connected");
  });

  it("7: between Login and NewProxy, with the NewProxy at the next one: it is admitted by its ticket", async () => {
    const client = admitted(await bench.login(alice, await bench.buyToken(alice)));
    bench.frps = "gone";
    await bench.restart();
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
    expect(await statusOf()).toBe("connected");
  });

  it.each([
    ["the old one", true],
    ["the new one", false],
  ])("2: between kick and answer: with %s back first, the newer client holds", async (_name, isOldFirst) => {
    const token = await bench.buyToken(alice);
    const old = await connected(token);
    minutes(1);
    // The kick was sent, and the process is gone before the newcomer is answered.
    bench.onKick = () => new Promise(() => {});
    void bench.login(alice, token).catch(() => {});
    await waitForFact("the kick", () => bench.kicked.includes(old.ticket) || undefined);
    bench.frps = { clients: [], proxies: [] };
    bench.onKick = async () => {};
    await bench.restart();
    expect(await statusOf()).toBe("disconnected");
    minutes(1);
    const comeBack = () => bench.login(alice, token, old.ticket);
    if (isOldFirst) expect(codeOf(await comeBack())).toBe("admitted");
    const newer = await connected(token);
    if (!isOldFirst) expect(codeOf(await comeBack())).toBe("REPLACED_BY_NEWER_CLIENT");
    expect(codeOf(await bench.newProxy(newer))).toBe("admitted");
    expect(bench.plugin.stats().sessions).toBe(1);
  });

  it("ends the rows of sessions that are gone, as lost, at the last moment at which they were known to live", async () => {
    const client = await connected(await bench.buyToken(alice));
    const generation = await bench.sessions.highestGeneration(alice);
    const neverServed = admitted(await bench.login(bob, await bench.buyToken(bob)));
    bench.frps = showOnDashboard([client, neverServed]);
    minutes(5);
    await bench.plugin.reconcile();
    const watched = bench.now;
    minutes(120);
    bench.frps = "gone";
    await bench.restart();
    const row = await waitForFact("the row is ended", async () => {
      const found = await bench.sessions.findSession(alice, generation);
      return found?.closedAt === undefined ? undefined : found;
    });
    expect(row).toMatchObject({ end: "lost", closedAt: watched });
    const told = { generation, how: "lost", knownUntil: watched.toISOString() };
    await expect.poll(async () => await bench.readEvents()).toContainEqual(["session.ended", told]);
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "disconnected", lastSeen: watched });
    expect(await bench.plugin.readStatus(bob)).toMatchObject({ status: "disconnected", lastSeen: null });
    expect(await bench.sessions.unendedSessions()).toEqual([]);
  });

  it("leaves the row of a session that came back with its ticket before the rows were looked at", async () => {
    const token = await bench.buyToken(alice);
    const client = await connected(token);
    bench.frps = showOnDashboard([client]);
    await bench.restart();
    const [row] = await bench.sessions.unendedSessions();
    expect(row).toMatchObject({ label: alice, closedAt: undefined, end: undefined });
  });
});
