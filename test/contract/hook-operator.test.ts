/** What an operator orders: recorded first, enforced at the edge, then at frps, and never undone. */
import { Fault, type Label, parseNetwork } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admitted, alice, type BenchClient, bob, codeOf, type HookBench, showOnDashboard, startHookBench } from "../support/hook-bench.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let bench: HookBench;
beforeEach(async () => {
  bench = await startHookBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

const later = (ms: number): void => {
  bench.now = new Date(bench.now.getTime() + ms);
};
async function connect(label: Label, token: string, address: string): Promise<BenchClient> {
  const client = admitted(await bench.login(label, token, "", address));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client;
}
const operator = (): HookBench["plugin"]["operator"] => bench.plugin.operator;
const eventOf = async (name: string): Promise<Record<string, unknown>> =>
  await waitForFact(`the event ${name}`, async () => (await bench.readEvents()).findLast(([event]) => event === name)?.[1]);
const away = (): Promise<never> => Promise.reject(new Fault("EDGE_UNREACHABLE", "the edge did not answer"));

describe("revoke", () => {
  it("12: is recorded, takes the label from the edge, cuts and kicks, and every older credential is refused from then on", async () => {
    const token = await bench.buyToken(alice);
    const client = await connect(alice, token, "127.0.0.1:40001");
    const bobs = await connect(bob, await bench.buyToken(bob), "127.0.0.1:40002");
    bench.frps = showOnDashboard([bobs]);
    bench.doorCalls.length = 0;
    const { notBefore, ended, enforced } = await operator().revoke(alice, "root");
    expect([ended, await enforced]).toEqual([1, true]);
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.doorCalls).toEqual([`delete ${alice} ended`, "cut 127.0.0.1:40001"]);
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
    expect(codeOf(await bench.login(alice, token, client.ticket))).toBe("TOKEN_REVOKED");
    expect(bench.kicked).not.toContain(bobs.ticket);
    expect(await eventOf("operator.revoked")).toEqual({ notBefore: notBefore.getTime() / 1000, by: "root" });
    expect(await eventOf("session.evicted")).toMatchObject({ how: "evicted", isConfirmed: true });
    const { blockedMs, cutMs, kickedMs, confirmedMs } = await eventOf("session.evicted");
    const stages = [blockedMs, cutMs, kickedMs, confirmedMs].map(Number);
    expect(stages).toEqual(stages.toSorted((one, other) => one - other));
    // Who signs again afterwards is welcome.
    later(notBefore.getTime() - bench.now.getTime());
    admitted(await bench.login(alice, await bench.buyToken(alice)));
  });

  it("6: outlives the process, whatever the edge and frps were doing, and meets whom the process before had admitted", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    bench.frps = showOnDashboard([client]);
    bench.onDelete = away;
    bench.onKick = () => new Promise(() => {});
    const { enforced } = await operator().revoke(alice, "root");
    expect(await enforced).toBe(false);
    bench.onDelete = async () => {};
    bench.onKick = async () => {};
    bench.doorCalls.length = 0;
    bench.kicked.length = 0;
    await bench.restart();
    await waitForFact("the kick of who is still there", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.doorCalls).not.toContain(`put ${alice}`);
    expect(codeOf(await bench.login(alice, await bench.buyToken(alice), client.ticket))).toBe("TOKEN_REVOKED");
  });

  it("6: that cannot be recorded is not carried out: nobody is told that it was", async () => {
    const client = await connect(alice, await bench.buyToken(alice), "127.0.0.1:40001");
    bench.sessionsFault = new Fault("STORE_UNAVAILABLE", "disk full");
    await expect(operator().revoke(alice, "root")).rejects.toThrow("disk full");
    await expect(operator().block({ subject: alice, reason: "", endsAt: undefined }, "root")).rejects.toThrow("disk full");
    expect([bench.plugin.sessions().length, bench.kicked]).toEqual([1, []]);
    expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  });

  it("6: reaches a token that was issued ahead of the clock, and a login that is being decided at that moment", async () => {
    await bench.buyToken(alice);
    await bench.buyToken(alice);
    const ahead = await bench.buyToken(alice);
    const { promise, resolve } = Promise.withResolvers<void>();
    const hasRead = Promise.withResolvers<void>();
    bench.onRead = () => {
      hasRead.resolve();
      return promise;
    };
    const login = bench.login(alice, ahead);
    await hasRead.promise;
    const { enforced } = await operator().revoke(alice, "root");
    expect(await enforced).toBe(true);
    resolve();
    expect(codeOf(await login)).toBe("TOKEN_REVOKED");
    expect(bench.plugin.sessions()).toEqual([]);
  });
});

describe("kick", () => {
  it("ends the sessions of a wallet, is no ban, and says who did it", async () => {
    const token = await bench.buyToken(alice);
    const client = await connect(alice, token, "127.0.0.1:40001");
    const { ended, enforced } = await operator().kick(alice, "key:ops");
    expect([ended, await enforced]).toEqual([1, true]);
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(codeOf(await bench.newProxy(client))).toBe("SESSION_UNKNOWN");
    admitted(await bench.login(alice, token, client.ticket));
    expect(await eventOf("session.kicked")).toEqual({ sessions: 1, by: "key:ops" });
    expect((await eventOf("session.ended"))["how"]).toBe("kicked");
  });
});

describe("block", () => {
  const forAnHour = () => ({ subject: alice, reason: "phishing", endsAt: new Date(bench.now.getTime() + 3_600_000) });

  it("12: of a wallet is recorded, told to the edge, ends its sessions, and no credential helps until it is lifted", async () => {
    const token = await bench.buyToken(alice);
    const client = await connect(alice, token, "127.0.0.1:40001");
    bench.doorCalls.length = 0;
    const { ended, enforced, block } = await operator().block({ ...forAnHour(), endsAt: undefined }, "root");
    expect([ended, await enforced]).toEqual([1, true]);
    expect(bench.doorCalls.slice(0, 2).sort()).toEqual([`block ${alice}`, `delete ${alice} ended`]);
    expect(codeOf(await bench.login(alice, token, client.ticket))).toBe("ADDRESS_BLOCKED");
    expect(bench.plugin.blocks()).toEqual([block]);
    expect(await eventOf("block.set")).toEqual({ subject: alice, reason: "phishing", endsAt: null, by: "root" });
    expect(await operator().unblock(alice, "root")).toBe(true);
    expect(await operator().unblock(alice, "root")).toBe(false);
    expect(bench.doorCalls.at(-1)).toBe(`unblock ${alice}`);
    expect(await eventOf("block.lifted")).toEqual({ subject: alice, by: "root" });
    admitted(await bench.login(alice, token));
  });

  it("ends by itself at its end, also when nobody is there to take it away", async () => {
    const token = await bench.buyToken(alice);
    await operator().block(forAnHour(), "root");
    later(3_600_000 - 1);
    expect(codeOf(await bench.login(alice, token))).toBe("ADDRESS_BLOCKED");
    later(1);
    const later1 = await bench.buyToken(alice);
    admitted(await bench.login(alice, later1));
    bench.sessionsFault = new Fault("STORE_UNAVAILABLE", "disk full");
    await operator().endPastBlocks();
    expect(bench.plugin.blocks()).toEqual([]);
    bench.sessionsFault = undefined;
    await operator().endPastBlocks();
    expect(bench.doorCalls.at(-1)).toBe(`unblock ${alice}`);
    expect(await eventOf("block.ended")).toEqual({ subject: alice });
  });

  it("6: outlives the process, and the edge hears of it with everything else", async () => {
    const token = await bench.buyToken(alice);
    bench.onBlock = away;
    const { enforced } = await operator().block(forAnHour(), "root");
    expect(await enforced).toBe(false);
    await bench.restart();
    expect(codeOf(await bench.login(alice, token))).toBe("ADDRESS_BLOCKED");
    expect(bench.plugin.blocks()).toMatchObject([{ subject: alice, reason: "phishing" }]);
  });

  it("of a network ends the sessions that come from it, and lets nobody in from there, whatever the credential", async () => {
    bench.sources.set("127.0.0.1:40001", "203.0.113.9:5555").set("127.0.0.1:40003", "[2001:db8::7]:443");
    const tokens = [await bench.buyToken(alice), await bench.buyToken(bob)] as const;
    const client = await connect(alice, tokens[0], "127.0.0.1:40001");
    await connect(bob, tokens[1], "127.0.0.1:40002");
    for (const text of ["203.0.113.0/24", "2001:db8::/32"]) {
      const subject = parseNetwork(text);
      if (subject === undefined) throw new Error(text);
      await (await operator().block({ subject, reason: "", endsAt: undefined }, "root")).enforced;
    }
    await waitForFact("the kick", () => (bench.kicked.includes(client.ticket) ? true : undefined));
    expect(bench.plugin.sessions().map(({ label }) => label)).toEqual([bob]);
    later(1000);
    for (const address of ["127.0.0.1:40001", "127.0.0.1:40003"])
      expect(codeOf(await bench.login(alice, await bench.buyToken(alice), "", address))).toBe("NETWORK_BLOCKED");
    admitted(await bench.login(alice, await bench.buyToken(alice), "", "127.0.0.1:40004"));
    expect(bench.doorCalls.filter((call) => call.startsWith("block"))).toEqual(["block 203.0.113.0/24", "block 2001:db8::/32"]);
    for (const { subject } of bench.plugin.blocks().filter((block) => block.subject.includes("::")))
      expect(await operator().unblock(subject, "root")).toBe(true);
    expect(bench.doorCalls.at(-1)).toBe("unblock 2001:db8::/32");
  });
});

describe("the chain of events", () => {
  it("tells every admission, displacement and end of a session, and holds no secret", async () => {
    const first = await bench.buyToken(alice);
    const client = await connect(alice, first, "127.0.0.1:40001");
    later(1000);
    const second = await bench.buyToken(alice);
    const newcomer = await connect(alice, second, "127.0.0.1:40002");
    await bench.closeProxy(newcomer);
    const told = await waitForFact("four events of sessions", async () => {
      const ofSessions = (await bench.readEvents()).filter(([event]) => event.startsWith("session."));
      return ofSessions.length === 4 ? ofSessions : undefined;
    });
    // An operator types it: nothing that a shell or an option parser takes for something else.
    for (const [, { session }] of told) expect(session).toMatch(/^[0-9a-f]{32}$/);
    expect(told.map(([event, { how, displaced, source }]) => [event, how ?? displaced, source])).toEqual([
      ["session.admitted", 0, "127.0.0.1:40001"],
      ["session.ended", "displaced", undefined],
      ["session.admitted", 1, "127.0.0.1:40002"],
      ["session.ended", "closed", undefined],
    ]);
    const text = JSON.stringify(told);
    for (const secret of [first, second, client.ticket, newcomer.ticket]) expect(text).not.toContain(secret);
  });
});

it("frps and the edge, which keep no chain, are in the plugin's: when frps was gone and was back, and that the edge was told everything", async () => {
  bench = await startHookBench();
  const told = async (): Promise<string[]> =>
    (await bench.readEvents()).map(([event]) => event).filter((event) => event.startsWith("frps.") || event.startsWith("edge."));
  await bench.plugin.reconcile();
  bench.frps = "gone";
  await bench.plugin.reconcile();
  await bench.plugin.reconcile();
  bench.frps = "broken";
  await bench.plugin.reconcile();
  bench.frps = { clients: [], proxies: [] };
  await bench.plugin.reconcile();
  await bench.plugin.pushAll();
  await expect.poll(told).toEqual(["frps.found", "edge.joined", "frps.lost", "frps.found", "edge.joined"]);
});
