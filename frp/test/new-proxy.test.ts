/** What a NewProxy can do on stock frps (frp.md §6, §8, §11): why the hook writes every field itself and admits so little. */
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { awaitFact } from "./support/await-fact.ts";
import { headerOf, startEchoApp } from "./support/echo-app.ts";
import { register } from "./support/hook-server.ts";
import { openRawVisitor, visitRaw } from "./support/raw-visit.ts";
import { startReloadableClient } from "./support/reloadable-client.ts";
import { freePorts, startApp } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const host = "a.tunnel.test";
const proxy = (name: string, localPort: number, more: object = {}) => ({ name, type: "http", localPort, subdomain: name, ...more });
const startProxies = (world: World, ...proxies: object[]) =>
  world.startClient({ name: "", localPort: 1, subdomain: "", proxies: proxies as never });
/** The hook registers the proxy as its client wants it, but for these fields. */
const rewrite = (changes: Record<string, unknown>) => ({
  newProxy: (content: Parameters<typeof register>[0]) => register(content, [host], changes),
});

it("a plain client asks for a name, a type and a subdomain and nothing else; one without a host does not even start", async () => {
  await using world = await startWorld();
  await startProxies(world, proxy("a", 1));
  const [asked] = await awaitFact("NewProxy is asked", () => world.hook.newProxies.length > 0 && world.hook.newProxies);
  expect(Object.keys(asked?.raw ?? {}).sort()).toEqual(["proxy_name", "proxy_type", "subdomain", "user"]);
  const hostless = await startProxies(world, { name: "b", type: "http", localPort: 1 });
  await awaitFact("frpc has ended", () => hostless.hasExited(), { seen: () => world.describe() });
  expect([hostless.process.exitCode, hostless.log()]).toEqual([1, expect.stringContaining("should not be both empty")]);
});

it("a proxy that its client drops is told by CloseProxy, and the session lives on", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const client = await startReloadableClient(world, [proxy("one", app.port), proxy("two", app.port)]);
  await world.awaitVisit("one.tunnel.test", "app");
  await world.awaitVisit("two.tunnel.test", "app");
  await client.reload([proxy("two", app.port)]);
  await awaitFact("CloseProxy is asked", () => world.hook.closeProxies.length > 0, { seen: () => world.describe() });
  expect(world.hook.closeProxies.map(({ proxyName }) => proxyName)).toEqual(["one"]);
  await world.awaitVisit("two.tunnel.test", "app");
  expect(await world.dashboard.readClients()).toHaveLength(1);
});

describe("what the hook writes", () => {
  it("X-Forwarded-Proto reaches the app as written, where frps itself would say http, and the visitor has no say", async () => {
    await using app = await startEchoApp();
    await using world = await startWorld();
    await startProxies(world, proxy("plain", app.port));
    await awaitFact("it serves", async () => (await world.visit("plain.tunnel.test")).status === 200, { seen: () => world.describe() });
    world.hook.script = rewrite({ headers: { "X-Forwarded-Proto": "https" } });
    await startProxies(world, proxy("a", app.port));
    await awaitFact("it serves", async () => (await world.visit(host)).status === 200, { seen: () => world.describe() });
    for (const [name, expected] of [
      ["plain.tunnel.test", "http"],
      [host, "https"],
    ] as const) {
      await visitRaw(world.settings.vhostHttpPort, ["GET /x HTTP/1.1", `Host: ${name}`, "X-Forwarded-Proto: gopher", "Connection: close"]);
      expect(headerOf(app.asked.at(-1), "x-forwarded-proto")).toBe(expected);
    }
  });

  it("a response header is on every answer of the app, also HEAD, 404 and an upgrade, and replaces the app's own; a 103 before it has none", async () => {
    await using app = await startEchoApp();
    await using world = await startWorld({ script: rewrite({ response_headers: { "x-mark": "m1" } }) });
    await startProxies(world, proxy("a", app.port));
    await awaitFact("it serves", async () => (await world.visit(host)).status === 200, { seen: () => world.describe() });
    const ask = (line: string, more: string[] = ["Connection: close"]) =>
      visitRaw(world.settings.vhostHttpPort, [`${line} HTTP/1.1`, `Host: ${host}`, ...more]);
    for (const [line, status] of [
      ["GET /", 200],
      ["HEAD /", 200],
      ["POST /missing", 404],
      ["GET /hints", 200],
    ] as const) {
      const answer = await ask(line);
      const last = answer.slice(answer.lastIndexOf("HTTP/1.1 "));
      expect(last).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(last.match(/^x-mark: .*$/gim)).toEqual([expect.stringMatching(/: m1$/)]);
      // What comes before an answer is passed on as the app said it, without the mark.
      if (line === "GET /hints") expect(answer).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: .*\r\n\r\nHTTP\/1\.1 200 /);
    }
    using visitor = openRawVisitor(world.settings.vhostHttpPort, [
      "GET /ws HTTP/1.1",
      `Host: ${host}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
    ]);
    await awaitFact("it is upgraded", () => visitor.received().includes("upgraded"), { seen: () => visitor.received() });
    expect(visitor.received()).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\nX-Mark: m1\r\n/i);
  });

  it("another type opens a port, while frpc says that its http proxy is up: the type is the hook's to judge", async () => {
    const [port = 0] = await freePorts(1);
    await using world = await startWorld({ script: rewrite({ proxy_type: "tcp", custom_domains: null, remote_port: port }) });
    const client = await startProxies(world, proxy("a", 1));
    await awaitFact("frpc believes it", () => client.log().includes("start proxy success"), { seen: () => world.describe() });
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve();
      });
      socket.on("error", reject);
    });
  });

  it("another name takes the host and serves nothing: names are never rewritten", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({ script: rewrite({ proxy_name: "label.web" }) });
    const client = await startProxies(world, proxy("a", app.port));
    await awaitFact("frpc does not know it", () => client.log().includes("start error: proxy [label.web] not found"), {
      seen: () => world.describe(),
    });
    expect((await world.dashboard.readProxies()).map(({ name, hosts }) => [name, hosts])).toEqual([["label.web", [host]]]);
    expect((await world.visit(host)).status).toBe(404);
  });

  it("compression or encryption that the client does not know of breaks the tunnel", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    for (const [index, field] of ["use_compression", "use_encryption"].entries()) {
      const name = `${index}.tunnel.test`;
      world.hook.script = { newProxy: (content) => register(content, [name], { [field]: true }) };
      const client = await startProxies(world, proxy(`p${index}`, app.port));
      await awaitFact("it is up", () => client.log().includes("start proxy success"), { seen: () => world.describe() });
      const { status, body } = await world.visit(name);
      expect([status, body === "app"]).toEqual([expect.any(Number), false]);
      expect(status).not.toBe(200);
    }
  });
});

describe("what frps would let a client do", () => {
  it("every form of host is registered: any wildcard, the apex, a trailing dot, an address", async () => {
    await using app = await startApp("app");
    await using world = await startWorld({ script: { newProxy: ({ raw }) => ({ kind: "replace", content: raw }) } });
    const hosts = ["*", "*.tunnel.test", "*.test", "tunnel.test", "b.tunnel.test.", "127.0.0.1"];
    await startProxies(world, ...hosts.map((name, index) => ({ ...proxy(`p${index}`, app.port), subdomain: "", customDomains: [name] })));
    await awaitFact("all are registered", async () => (await world.dashboard.readProxies()).length === hosts.length, {
      seen: () => world.describe(),
    });
    for (const name of ["c.tunnel.test", "tunnel.test", "x.y.tunnel.test", "anything.example", "127.0.0.1"]) {
      expect((await world.visit(name)).body).toBe("app");
    }
  });

  it("a host is shared by paths, by users and by a group of one key, whoever asks", async () => {
    await using first = await startApp("first");
    await using second = await startApp("second");
    await using world = await startWorld({ script: { newProxy: ({ raw }) => ({ kind: "replace", content: raw }) } });
    const own = (name: string, port: number, domain: string, more: object) => ({
      ...proxy(name, port, more),
      subdomain: "",
      customDomains: [`${domain}.test`],
    });
    await startProxies(world, own("a", first.port, "path", {}), own("b", first.port, "group", { loadBalancer: { group: "g" } }));
    await awaitFact("they are up", async () => (await world.dashboard.readProxies()).length === 2, { seen: () => world.describe() });
    await startProxies(
      world,
      own("c", second.port, "path", { locations: ["/login"] }),
      own("d", second.port, "path", { routeByHTTPUser: "bob" }),
      own("e", second.port, "group", { loadBalancer: { group: "g" } }),
    );
    await awaitFact("they are up", async () => (await world.dashboard.readProxies()).length === 5, { seen: () => world.describe() });
    expect((await world.visit("path.test", "/")).body).toBe("first");
    expect((await world.visit("path.test", "/login")).body).toBe("second");
    const authorization = `Authorization: Basic ${Buffer.from("bob:").toString("base64")}`;
    const lines = ["GET / HTTP/1.1", "Host: path.test", authorization, "Connection: close"];
    expect(await visitRaw(world.settings.vhostHttpPort, lines)).toMatch(/second$/);
    const bodies = await Promise.all(Array.from({ length: 10 }, async () => (await world.visit("group.test")).body));
    expect(new Set(bodies)).toEqual(new Set(["first", "second"]));
  });

  it("a name that is taken is refused to everybody else, under any user: names are worth squatting", async () => {
    await using app = await startApp("app");
    await using world = await startWorld();
    await startProxies(world, proxy("web", app.port));
    await world.awaitVisit("web.tunnel.test", "app");
    const second = await world.startClient({ name: "web", localPort: app.port, subdomain: "b" });
    await awaitFact("the second is refused", () => second.log().includes("proxy [web] already exists"), { seen: () => world.describe() });
    expect(second.hasExited()).toBe(false);
  });

  it("no limit of frps counts http proxies", async () => {
    await using world = await startWorld({ configure: (config) => ({ ...config, maxPortsPerClient: 1 }) });
    const names = Array.from({ length: 50 }, (_, index) => `p${index}`);
    await startProxies(world, ...names.map((name) => proxy(name, 1)));
    await awaitFact("all are registered", async () => (await world.dashboard.readProxies()).length === names.length, {
      seen: () => world.describe(),
    });
  });
});
