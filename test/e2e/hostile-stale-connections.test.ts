/**
 * frps keeps connections to an app for as long as a minute, and hands them out by the host's name. However a client lost its
 * host, with five of them warm, none of the next fifty requests may reach its app (frp/README.md, "stale idle connections").
 */
import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type DesktopClient, requestClientConfig, startFrpcOn } from "../support/desktop-client.ts";
import { type HostileWorld, type RawSession, startHostileWorld, type Tenant } from "../support/hostile-world.ts";
import { type LocalApp, startLocalApp } from "../support/local-app.ts";
import { visit } from "../support/visitor.ts";
import { waitForFact } from "../support/wait-for-fact.ts";

let world: HostileWorld;
beforeAll(async () => {
  world = await startHostileWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(() => world.expectUnharmed());

const proxyOf = ({ label }: Tenant, name = "app") => ({ proxy_name: `${label}.${name}`, proxy_type: "http", subdomain: label });

/** An app that tells on how many connections it was asked. */
async function startCountingApp(name: string): Promise<LocalApp & { readonly connections: Set<Socket> }> {
  const connections = new Set<Socket>();
  const app = await startLocalApp(name, (request, response) => {
    connections.add(request.socket);
    setTimeout(() => response.end(name), request.url === "/slow" ? 200 : 0);
  });
  return Object.assign(app, { connections });
}

/** Opens five connections to the app behind a host, all the way through, and leaves them idle. */
async function warmUp(tenant: Tenant, app: Awaited<ReturnType<typeof startCountingApp>>): Promise<void> {
  await waitForFact(`${app.name} serves`, async () =>
    (await visit(world.keyhole.edgePort, tenant.host)).body === app.name ? true : undefined,
  );
  await Promise.all(Array.from({ length: 5 }, () => visit(world.keyhole.edgePort, tenant.host, { path: "/slow" })));
  expect([...app.connections].filter((socket) => !socket.destroyed).length).toBeGreaterThanOrEqual(5);
}

/** What fifty requests were answered, five at a time, by how often. */
async function askFifty(tenant: Tenant): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let round = 0; round < 10; round += 1) {
    const answers = await Promise.all(Array.from({ length: 5 }, () => visit(world.keyhole.edgePort, tenant.host)));
    for (const { status, body } of answers) counts[`${status} ${body}`] = (counts[`${status} ${body}`] ?? 0) + 1;
  }
  return counts;
}

describe("a client that gives its host up and stays connected", () => {
  it.each([
    ["the same name", "app"],
    ["another name", "other"],
  ])("2: receives 0 of 50 requests once somebody newer has registered %s", async (_what, name) => {
    const tenant = await world.makeTenant();
    await using formerApp = await startCountingApp("former");
    await using newApp = await startCountingApp("new");
    using former = await world.logIn(tenant, {}, formerApp.port);
    expect(await former.newProxy(proxyOf(tenant))).toBe("");
    await warmUp(tenant, formerApp);
    former.closeProxy(proxyOf(tenant).proxy_name);
    const before = formerApp.requests;
    using newer = await registerWhenFree(tenant, name, newApp.port);
    expect(await askFifty(tenant)).toEqual({ "200 new": 50 });
    expect([formerApp.requests - before, newApp.requests]).toEqual([0, 50]);
    // It may not have the host back while the newer lives, and the attempt changes nothing.
    expect(await former.newProxy(proxyOf(tenant, "again"))).toMatch(/^REPLACED_BY_NEWER_CLIENT/);
    expect(await askFifty(tenant)).toEqual({ "200 new": 50 });
    expect(newer.socket.destroyed).toBe(false);
    expect(formerApp.requests - before).toBe(0);
  });

  /** frps reads the CloseProxy and the newcomer's NewProxy on two connections: which comes first is open. */
  async function registerWhenFree(tenant: Tenant, name: string, appPort: number): Promise<RawSession> {
    const newer = await world.logIn(tenant, {}, appPort);
    await waitForFact("the newer has the host", async () => ((await newer.newProxy(proxyOf(tenant, name))) === "" ? true : undefined));
    return newer;
  }
});

describe("a stock client that is displaced", () => {
  async function startBoth(tenant: Tenant, formerPort: number): Promise<{ text: string; former: DesktopClient }> {
    const text = await requestClientConfig(world.keyhole, tenant.wallet, formerPort);
    const former = startFrpcOn(world.keyhole, text);
    await former.saw("start proxy success");
    return { text, former };
  }

  it.each([
    ["is honest", false],
    ["is frozen", true],
  ])("2: receives 0 of 50 requests, when it %s", async (_what, isFrozen) => {
    const tenant = await world.makeTenant();
    await using formerApp = await startCountingApp("former");
    await using newApp = await startCountingApp("new");
    const { text, former } = await startBoth(tenant, formerApp.port);
    await using _former = former;
    await warmUp(tenant, formerApp);
    const before = formerApp.requests;
    if (isFrozen) former.signal("SIGSTOP");
    await using newer = startFrpcOn(world.keyhole, text.replace(`localPort = ${formerApp.port}`, `localPort = ${newApp.port}`));
    await newer.saw("start proxy success");
    expect(await askFifty(tenant)).toEqual({ "200 new": 50 });
    if (isFrozen) former.signal("SIGCONT");
    await former.saw("REPLACED_BY_NEWER_CLIENT");
    expect(await askFifty(tenant)).toEqual({ "200 new": 50 });
    expect([formerApp.requests - before, newApp.requests]).toEqual([0, 100]);
  });

  it("2: receives 0 of 50 requests, when it keeps its connection and ignores that it was told to go", async () => {
    const tenant = await world.makeTenant();
    await using formerApp = await startCountingApp("former");
    await using newApp = await startCountingApp("new");
    using former = await world.logIn(tenant, {}, formerApp.port);
    expect(await former.newProxy(proxyOf(tenant))).toBe("");
    await warmUp(tenant, formerApp);
    const before = formerApp.requests;
    using newer = await world.logIn(tenant, {}, newApp.port);
    expect(await newer.newProxy(proxyOf(tenant))).toBe("");
    expect(await askFifty(tenant)).toEqual({ "200 new": 50 });
    expect(formerApp.requests - before).toBe(0);
    await former.closed;
  });
});
