/** What frps's dashboard tells, in small numbers and in large ones. */
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { deriveLoginKey } from "../src/index.ts";
import { encodeFirstStream, encodeMessage, loginType } from "../src/wire.ts";
import { awaitFact } from "./support/await-fact.ts";
import { startEchoApp } from "./support/echo-app.ts";
import { openRawVisitor } from "./support/raw-visit.ts";
import { startWorld } from "./support/world.ts";

it("shows run ids and users, and what is gone is gone from it", async () => {
  await using world = await startWorld();
  const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a", extra: { user: "label" } });
  const proxies = await awaitFact("the proxy is listed", async () => {
    const found = await world.dashboard.readProxies();
    return found.length === 1 && found;
  });
  const [session] = await world.dashboard.readClients();
  expect(session).toMatchObject({ user: "label", isOnline: true, clientAddress: "127.0.0.1" });
  expect(session?.runId).toMatch(/^[0-9a-f]{16}$/);
  expect(proxies).toEqual([{ name: "label.web", user: "label", clientId: session?.runId, hosts: ["a.tunnel.test"], isOnline: true }]);
  await client.stop();
  await awaitFact(
    "both are gone",
    async () => (await world.dashboard.readClients()).length + (await world.dashboard.readProxies()).length === 0,
  );
});

it("is read whole when a page cannot hold it: 250 sessions, and 250 proxies of one", async () => {
  const sockets: Socket[] = [];
  await using world = await startWorld();
  try {
    const runIds = Array.from({ length: 250 }, (_, index) => `run-${index}`);
    for (const runId of runIds) {
      const timestamp = Math.floor(Date.now() / 1000);
      const socket = connect(world.settings.bindPort, "127.0.0.1").on("error", () => {});
      const login = { version: "0.71.0", timestamp, privilege_key: deriveLoginKey("", timestamp), run_id: runId };
      socket.write(encodeFirstStream(encodeMessage(loginType, login)));
      sockets.push(socket);
    }
    await awaitFact("all sessions are listed", async () => (await world.dashboard.readClients()).length === 250);
    expect(new Set((await world.dashboard.readClients()).map((client) => client.runId))).toEqual(new Set(runIds));

    const proxies = runIds.map((name) => ({ name, type: "http", localPort: 1, subdomain: name }));
    const client = await world.startClient({ name: "", localPort: 1, subdomain: "", proxies, extra: { user: "many" } });
    const all = await awaitFact("all proxies are listed", async () => {
      const found = await world.dashboard.readProxies();
      return found.length === 250 && found;
    });
    expect(new Set(all.map((proxy) => proxy.name))).toEqual(new Set(runIds.map((name) => `many.${name}`)));
    expect(all.every((proxy) => proxy.user === "many" && proxy.isOnline && proxy.hosts.length === 1)).toBe(true);
    await client.stop();
    await awaitFact("none is left", async () => (await world.dashboard.readProxies()).length === 0);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

it("is healthy while frps lives, and not when it is dead", async () => {
  await using world = await startWorld();
  expect(await world.dashboard.isHealthy()).toBe(true);
  await world.frps.stop("SIGTERM");
  expect(await world.dashboard.isHealthy()).toBe(false);
  await expect(world.dashboard.readClients()).rejects.toMatchObject({ code: "DASHBOARD_UNAVAILABLE" });
  await world.startFrps();
  expect(await world.dashboard.readClients()).toEqual([]);
});

it("counts a connection's bytes only when it ends, so the edge counts for itself", async () => {
  await using app = await startEchoApp();
  await using world = await startWorld();
  await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await awaitFact("the proxy is listed", async () => (await world.dashboard.readProxies()).length === 1);
  const authorization = `Basic ${Buffer.from(`${world.settings.dashboardUser}:${world.settings.dashboardPassword}`).toString("base64")}`;
  const readTraffic = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${world.settings.dashboardPort}/api/proxy/http`, { headers: { authorization } });
    const { proxies } = (await answer.json()) as { proxies: { todayTrafficOut: number }[] };
    return proxies[0]?.todayTrafficOut ?? Number.NaN;
  };
  using visitor = openRawVisitor(world.settings.vhostHttpPort, ["GET /stream HTTP/1.1", "Host: a.tunnel.test"]);
  await awaitFact("the stream runs", () => visitor.received().includes("first"), { seen: () => world.describe() });
  app.streams[0]?.write("x".repeat(1_000_000));
  await awaitFact("a megabyte has come", () => visitor.received().length > 1_000_000);
  expect(await readTraffic()).toBe(0);
  app.streams[0]?.destroy();
  await awaitFact("it is counted", async () => (await readTraffic()) > 1_000_000);
});
