/** What frps's dashboard tells, in small numbers and in large ones. */
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { deriveLoginKey } from "../src/index.ts";
import { encodeFirstStream, encodeMessage, loginType } from "../src/wire.ts";
import { awaitFact } from "./support/await-fact.ts";
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
