/**
 * The machine's clock is set forward or back under a running plugin: an hour, a day, five seconds. What a wall clock must
 * mean (a token ends at its end) is meant; nothing else waits for the length of the jump.
 */
import type { Label } from "@keyhole/core";
import { afterEach, describe, expect, it } from "vitest";
import { makeClaim, makeEvmHolder } from "../support/credentials.ts";
import { startGatewayStandIn } from "../support/gateway-stand-in.ts";
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

const hour = 3600;
const day = 24 * hour;
const back = [
  ["five seconds", 5],
  ["an hour", hour],
  ["a day", day],
] as const;

let bench: HookBench;
afterEach(() => bench?.[Symbol.asyncDispose]());

/** The clock goes by so many seconds, or jumps: to the plugin it is the same. */
const turn = (seconds: number): void => {
  bench.now = new Date(bench.now.getTime() + seconds * 1000);
};

/** A client that serves, and that the dashboard shows beside these others. */
async function connect(label: Label, others: readonly BenchClient[] = []): Promise<BenchClient & { readonly token: string }> {
  const token = await bench.buyToken(label);
  const client = admitted(await bench.login(label, token));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  bench.frps = showOnDashboard([...others, client]);
  return { ...client, token };
}

/** Two looks at the dashboard with so many seconds before each. */
async function lookTwice(seconds: number): Promise<void> {
  for (const _ of [1, 2]) {
    turn(seconds);
    await bench.plugin.reconcile();
  }
}

describe.each(back)("a clock that goes back %s", (_what, seconds) => {
  it("ends no session, and a tunnel that dies afterwards is noticed as soon as ever", async () => {
    bench = await startHookBench();
    const [one, other] = [await connect(alice), await connect(bob)];
    bench.frps = showOnDashboard([one, other]);
    await lookTwice(2);
    turn(-seconds);
    await lookTwice(2);
    expect(bench.plugin.stats()).toMatchObject({ sessions: 2, connected: 2 });
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", routable: true, stale: false, asOf: bench.now });
    bench.frps = showOnDashboard([other]);
    await lookTwice(2);
    expect(bench.plugin.stats()).toMatchObject({ sessions: 1, connected: 1 });
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "disconnected", stale: false, asOf: bench.now });
    bench.frps = "gone";
    await lookTwice(2);
    expect(bench.plugin.stats().sessions).toBe(0);
  });

  it("leaves a client that has only just been admitted the time that it needs, and one without a proxy no more than that", async () => {
    bench = await startHookBench();
    const idle = admitted(await bench.login(alice, await bench.buyToken(alice)));
    turn(-seconds);
    await bench.plugin.reconcile();
    expect(bench.plugin.stats().sessions).toBe(1);
    bench.frps = { ...showOnDashboard([idle]), proxies: [] };
    await lookTwice(2);
    expect([bench.plugin.stats().sessions, bench.kicked]).toEqual([1, []]);
    await lookTwice(7);
    expect([bench.plugin.stats().sessions, bench.kicked]).toEqual([0, [idle.ticket]]);
  });

  it("keeps no client that nobody admitted", async () => {
    bench = await startHookBench();
    const stranger = { label: alice, ticket: "a-run-id-of-nobody", user: { user: alice, metas: {}, run_id: "a-run-id-of-nobody" } };
    bench.frps = { ...showOnDashboard([stranger]), proxies: [] };
    await lookTwice(2);
    turn(-seconds);
    await lookTwice(2);
    expect(bench.kicked).toEqual([]);
    await lookTwice(7);
    expect(bench.kicked).toContain(stranger.ticket);
  });

  it("2: lets the generation of a label rise all the same", async () => {
    bench = await startHookBench();
    const client = await connect(alice);
    const older = ticketOf(bench, client)?.generation ?? 0;
    turn(-seconds);
    const next = await bench.login(alice, client.token);
    // The token is of after now: that is a wall clock's to say, and the one reason for which a good client may wait.
    if (typeof next === "string") {
      expect(codeOf(next)).toBe("TOKEN_NOT_YET_VALID");
      turn(seconds - 1);
    }
    const newer = admitted(typeof next === "string" ? await bench.login(alice, client.token) : next);
    expect(ticketOf(bench, newer)?.generation).toBeGreaterThan(older);
  });

  it("keeps no answer of the registry for longer than it counts", async () => {
    await using gateway = await startGatewayStandIn();
    bench = await startHookBench({ vana: { gatewayUrl: gateway.url } });
    const [owner, server, unknown] = [makeEvmHolder(), makeEvmHolder(), makeEvmHolder()];
    const logIn = async (of = server): Promise<string> => {
      const iat = Math.floor(bench.now.getTime() / 1000);
      const metas = await makeClaim(owner, { wallet: of.address, owner: owner.address, claim: { iat, exp: iat + 300 } });
      return codeOf(await bench.call("Login", loginContent({ metas })));
    };
    gateway.register({ serverAddress: server.address, ownerAddress: owner.address });
    expect([await logIn(), await logIn(unknown)]).toEqual(["admitted", "SERVER_NOT_REGISTERED"]);
    gateway.register({ serverAddress: server.address, ownerAddress: owner.address, revokedAt: "2026-03-01T00:00:00.000Z" });
    gateway.register({ serverAddress: unknown.address, ownerAddress: owner.address });
    turn(-seconds);
    turn(66);
    expect([await logIn(), await logIn(unknown)]).toEqual(["SERVER_REVOKED", "admitted"]);
  });

  it("takes no login from anybody, and gives none: a limit goes on from where it was", async () => {
    bench = await startHookBench({ ttlSeconds: 3 * day, limits: { loginsPerIdentityPerMinute: 2 } });
    const [half, spent] = [await bench.buyToken(alice), await bench.buyToken(bob)];
    turn(day + hour);
    const logIn = async (label: Label, token: string): Promise<string> => codeOf(await bench.login(label, token));
    expect([await logIn(alice, half), await logIn(bob, spent), await logIn(bob, spent)]).toEqual(["admitted", "admitted", "admitted"]);
    turn(-seconds);
    turn(5);
    expect([await logIn(alice, half), await logIn(alice, half), await logIn(bob, spent)]).toEqual([
      "admitted",
      "RATE_LIMITED",
      "RATE_LIMITED",
    ]);
    turn(31);
    expect([await logIn(alice, half), await logIn(bob, spent)]).toEqual(["admitted", "admitted"]);
  });

  it("leaves a registry that failed alone for ten seconds, and not for the jump", async () => {
    await using gateway = await startGatewayStandIn();
    bench = await startHookBench({ vana: { gatewayUrl: gateway.url } });
    const owner = makeEvmHolder();
    const logIn = async (): Promise<string> => {
      const iat = Math.floor(bench.now.getTime() / 1000);
      const metas = await makeClaim(owner, { wallet: makeEvmHolder().address, owner: owner.address, claim: { iat, exp: iat + 300 } });
      return codeOf(await bench.call("Login", loginContent({ metas })));
    };
    gateway.answer = (response) => void response.destroy();
    for (const _ of [1, 2, 3, 4, 5]) expect(await logIn()).toBe("GATEWAY_UNAVAILABLE");
    expect(bench.plugin.stats().gateway).toBe("open");
    gateway.answer = undefined;
    turn(-seconds);
    turn(16);
    expect(await logIn()).toBe("SERVER_NOT_REGISTERED");
    expect(bench.plugin.stats().gateway).toBe("closed");
  });
});

describe.each([
  ["an hour", hour],
  ["a day", day],
] as const)("a clock that goes forward %s", (_what, seconds) => {
  it("12: ends what has ended by a wall clock", async () => {
    bench = await startHookBench({ ttlSeconds: seconds / 2 });
    const client = await connect(alice);
    turn(seconds);
    await bench.plugin.reconcile();
    await waitForFact("the session is evicted", () => (bench.plugin.stats().sessions === 0 ? true : undefined));
    expect([bench.kicked, codeOf(await bench.login(alice, client.token, client.ticket))]).toEqual([[client.ticket], "TOKEN_EXPIRED"]);
  });

  it("2: ends nothing else; what is admitted meanwhile outranks what was, and is outranked when the clock is right again", async () => {
    bench = await startHookBench({ ttlSeconds: seconds * 2 });
    const client = await connect(alice);
    await lookTwice(2);
    turn(seconds);
    await lookTwice(2);
    expect(await bench.plugin.readStatus(alice)).toMatchObject({ status: "connected", routable: true, stale: false });
    const during = admitted(await bench.login(alice, client.token));
    turn(-seconds);
    const after = admitted(await bench.login(alice, client.token));
    const generations = [client, during, after].map((one) => ticketOf(bench, one)?.generation ?? 0);
    expect(generations).toEqual(generations.toSorted((one, other) => one - other));
    expect(new Set(generations).size).toBe(3);
    expect(bench.plugin.stats().sessions).toBe(1);
  });
});
