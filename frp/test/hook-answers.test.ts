/** frps and its hook: how it asks, and what it makes of answers that are not as they should be (invariant 4). */
import { expect, it } from "vitest";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { admit, register } from "./support/hook-server.ts";
import { startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const raw = (body: string, status = 200) => ({ kind: "raw", body, status }) as const;
const says = (world: World, log: () => string, words: string) =>
  awaitFact(`it says ${words}`, () => log().includes(words), { seen: () => world.describe() });

it("a call names its op in the query and has a request id of its own; ops that are not listed are never asked", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const client = await world.startClient({
    name: "web",
    localPort: app.port,
    subdomain: "a",
    extra: { transport: { heartbeatInterval: 1 } },
  });
  await world.awaitVisit("a.tunnel.test", "app");
  // A pool, a visit and a heartbeat: nothing of that is a question.
  await observeStillness("only listed ops are asked", () => world.hook.others.length === 0, { forMs: 1500 });
  await client.stop();
  await awaitFact("CloseProxy is asked", () => world.hook.closeProxies.length > 0, { seen: () => world.describe() });
  expect(world.hook.requests.map(({ url }) => url)).toEqual(
    ["Login", "NewProxy", "CloseProxy"].map((op) => `/hook?op=${op}&version=0.1.0`),
  );
  expect(world.hook.requests.every(({ requestId }) => /^[0-9a-f]{16}$/.test(requestId ?? ""))).toBe(true);
  expect(new Set(world.hook.requests.map(({ requestId }) => requestId)).size).toBe(3);
});

it("a Login with negative pool_count or too large a one is frps's to refuse or to limit, and frps lives", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({
    script: { login: (content) => admit(content, { pool_count: -1 }) },
    configure: (config) => ({
      ...config,
      httpPlugins: config.httpPlugins.map((plugin) => ({ ...plugin, ops: [...plugin.ops, "NewWorkConn"] })),
    }),
  });
  const refused = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await says(world, refused.log, "unexpected error when creating new controller");
  await refused.stop();
  world.hook.script = { login: (content) => admit(content, { pool_count: 2 ** 31 - 1 }) };
  await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await world.awaitVisit("a.tunnel.test", "app");
  // Five ahead, frps's own limit, and one for each visit that took one.
  const visits = world.hook.others.length;
  expect(visits).toBeGreaterThanOrEqual(5);
  expect(visits).toBeLessThan(20);
  expect(world.frps.hasExited()).toBe(false);
});

it("two clients with one client_id: the second is refused while the first lives, so the hook must empty it", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const extra = { clientID: "one" };
  await world.startClient({ name: "a", localPort: app.port, subdomain: "a", extra });
  await world.awaitVisit("a.tunnel.test", "app");
  const second = await world.startClient({ name: "b", localPort: app.port, subdomain: "b", extra });
  await says(world, second.log, "already online");
  world.hook.script = { login: (content) => admit(content, { client_id: "" }) };
  await world.awaitVisit("b.tunnel.test", "app");
});

it("a field that the answer leaves out is empty to frps, whatever the client had asked for", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const web = { name: "web", type: "http", localPort: app.port, subdomain: "a", httpUser: "u", httpPassword: "p", locations: ["/only"] };
  await world.startClient({ name: "", localPort: 1, subdomain: "", proxies: [web] });
  await awaitFact("the client's own password and path hold", async () => (await world.visit("a.tunnel.test", "/only")).status === 401);
  expect((await world.visit("a.tunnel.test", "/")).status).toBe(404);
  world.hook.script = {
    newProxy: ({ proxyName, raw: { user } }) => ({
      kind: "replace",
      content: { user, proxy_name: proxyName, proxy_type: "http", custom_domains: ["b.tunnel.test"] },
    }),
  };
  await world.startClient({ name: "", localPort: 1, subdomain: "", proxies: [{ ...web, name: "other" }] });
  await world.awaitVisit("b.tunnel.test", "app");
});

it("a Login answered with {}, null, an error, HTML or a word for a boolean is refused by frps", async () => {
  await using world = await startWorld();
  for (const [answer, words] of [
    [raw("{}"), "token in login doesn't match"],
    [raw("null"), "token in login doesn't match"],
    [raw('{"reject":false,"unchange":true}', 500), "send Login request to plugin error"],
    [raw("", 204), "send Login request to plugin error"],
    [raw("<html></html>"), "send Login request to plugin error"],
    [raw('{"reject":false,"unchange":"true"}'), "send Login request to plugin error"],
  ] as const) {
    world.hook.script = { login: () => answer };
    const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
    await says(world, client.log, words);
    await client.stop();
  }
  expect(await world.dashboard.readClients()).toEqual([]);
});

it("a NewProxy answered with {} opens a TCP port, and a content of null kills frps", async () => {
  await using world = await startWorld({ script: { newProxy: () => raw("{}") } });
  const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
  await says(world, client.log, "start error: proxy [] not found");
  // Port 0 is a free one, and open to whoever reaches frps's proxy address.
  await says(world, world.frps.log, "tcp proxy listen port [0]");
  await client.stop();
  world.hook.script = { newProxy: () => raw('{"unchange":false,"content":null}') };
  await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
  await awaitFact("frps is dead", () => world.frps.hasExited(), { seen: () => world.describe() });
});

it("an empty reason at NewProxy is a success to frpc, and nothing is served", async () => {
  await using world = await startWorld({ script: { newProxy: () => raw('{"reject":true,"reject_reason":""}') } });
  const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
  await says(world, client.log, "start proxy success");
  expect(await world.dashboard.readProxies()).toEqual([]);
});

it("a reason of several lines forges lines in frpc's log, and one beyond 10 kB is none", async () => {
  const forged = "2026-01-01 00:00:00.000 [I] forged";
  await using world = await startWorld({ script: { login: () => raw(JSON.stringify({ reject: true, reject_reason: `no\n${forged}` })) } });
  const client = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
  await awaitFact("the forged line stands alone", () => client.log().split("\n").includes(forged), { seen: () => world.describe() });
  await client.stop();
  world.hook.script = { login: () => raw(JSON.stringify({ reject: true, reject_reason: "x".repeat(11_000) })) };
  const other = await world.startClient({ name: "web", localPort: 1, subdomain: "a" });
  await says(world, other.log, "message length exceed the limit");
});

it("an answer to CloseProxy changes nothing: the proxy is gone already", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const client = await world.startClient({ name: "web", localPort: app.port, subdomain: "a" });
  await world.awaitVisit("a.tunnel.test", "app");
  let proxiesWhenAsked: Promise<number> | undefined;
  world.hook.script = {
    closeProxy: () => {
      proxiesWhenAsked = world.dashboard.readProxies().then((proxies) => proxies.filter((proxy) => proxy.isOnline).length);
      return raw('{"reject":true,"reject_reason":"stay"}');
    },
  };
  await client.stop();
  expect(await awaitFact("CloseProxy is asked", () => proxiesWhenAsked, { seen: () => world.describe() })).toBe(0);
  expect((await world.visit("a.tunnel.test")).status).toBe(404);
});

it("each call of a burst is a connection of its own, two of them are kept, and later calls use those", async () => {
  await using world = await startWorld();
  let arrived = 0;
  let letAll = (): void => {};
  const all = new Promise<void>((resolve) => {
    letAll = resolve;
  });
  world.hook.script = {
    login: async (content) => {
      arrived += 1;
      if (arrived === 12) letAll();
      await all;
      return admit(content);
    },
    newProxy: (content) => register(content, [`${content.proxyName}.tunnel.test`]),
  };
  const clients = Array.from({ length: 12 }, (_, index) => world.startClient({ name: `p${index}`, localPort: 1, subdomain: "a" }));
  await Promise.all(clients);
  await awaitFact("all are in", async () => (await world.dashboard.readProxies()).length === 12, { seen: () => world.describe() });
  const ports = world.hook.requests.filter(({ url }) => url.includes("op=Login")).map(({ remotePort }) => remotePort);
  expect(new Set(ports).size).toBe(12);
  await awaitFact("two connections are kept", () => world.hook.connections().length === 2, {
    seen: () => world.hook.connections().join(),
  });
  const kept = world.hook.connections();
  const asked = world.hook.requests.length;
  await world.startClient({ name: "later", localPort: 1, subdomain: "a" });
  await awaitFact("it is in", async () => (await world.dashboard.readProxies()).length === 13, { seen: () => world.describe() });
  for (const { remotePort } of world.hook.requests.slice(asked)) expect(kept).toContain(remotePort);
});
