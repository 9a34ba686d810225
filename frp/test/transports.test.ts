/**
 * How frpc can reach bindPort (frp.md §13): every transport at once while `transport.tls.force` is off, what the client's
 * address is then, and why neither that switch nor frps's own websocket listener is for the world.
 */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { makeCertificates } from "./support/certificates.ts";
import { openRawVisitor } from "./support/raw-visit.ts";
import { endServer, startApp } from "./support/servers.ts";
import { startTlsFront } from "./support/tls-front.ts";
import { startWorld } from "./support/world.ts";

const name = "control.tunnel.test";
const transports = {
  tls: {},
  plain: { tls: { enable: false } },
  websocket: { protocol: "websocket" },
  "websocket-plain": { protocol: "websocket", tls: { enable: false } },
};

it("TLS, plain, websocket and wss behind a front that ends TLS all work on one bindPort; a websocket's address is an Origin", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  await using front = await startTlsFront(makeCertificates(name), world.settings.bindPort);
  for (const [label, transport] of Object.entries(transports)) {
    await world.startClient({ name: label, localPort: app.port, subdomain: label, extra: { user: label, transport } });
  }
  const wss = { user: "wss", serverPort: front.port, transport: { protocol: "wss", tls: { serverName: name } } };
  await world.startClient({ name: "wss", localPort: app.port, subdomain: "wss", extra: wss });
  for (const label of [...Object.keys(transports), "wss"]) await world.awaitVisit(`${label}.tunnel.test`, "app");
  const addressOf = (label: string) => world.hook.logins.find((login) => login.user === label)?.clientAddress;
  expect(addressOf("tls")).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(addressOf("plain")).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(addressOf("websocket")).toBe(`http://127.0.0.1:${world.settings.bindPort}`);
  expect(addressOf("wss")).toBe(`http://${name}`);
});

it("transport.tls.force refuses what came through a front that ended TLS: it would break wss and port 7000 alike", async () => {
  await using app = await startApp("app");
  await using world = await startWorld({
    configure: (config) => ({ ...config, transport: { ...config.transport, tls: { force: true } } }),
  });
  await using front = await startTlsFront(makeCertificates(name), world.settings.bindPort);
  const throughFront = { serverPort: front.port, transport: { protocol: "wss", tls: { serverName: name } } };
  const refused = [
    await world.startClient({ name: "wss", localPort: app.port, subdomain: "wss", extra: throughFront }),
    await world.startClient({
      name: "tcp",
      localPort: app.port,
      subdomain: "tcp",
      extra: { serverPort: front.port, transport: { tls: { serverName: name } } },
    }),
    await world.startClient({ name: "plain", localPort: app.port, subdomain: "plain", extra: { transport: transports.plain } }),
  ];
  await world.startClient({ name: "tls", localPort: app.port, subdomain: "tls" });
  await world.awaitVisit("tls.tunnel.test", "app");
  await awaitFact("the others are refused", () => refused.every((client) => client.log().includes("connect to server error")), {
    seen: () => world.describe(),
  });
  expect(world.hook.logins).toHaveLength(1);
});

it("three silent connections keep frps's websocket listener from everybody else; other transports do not notice", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  using silent = new DisposableStack();
  const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", `Sec-WebSocket-Key: ${"A".repeat(22)}==`];
  for (let index = 0; index < 3; index += 1) {
    const lines = ["GET /~!frp HTTP/1.1", "Host: x", "Origin: http://x", ...upgrade];
    const quiet = silent.use(openRawVisitor(world.settings.bindPort, lines));
    await awaitFact("it is a websocket", () => quiet.received().includes(" 101 "), { seen: () => quiet.received() });
  }
  await world.startClient({ name: "ws", localPort: app.port, subdomain: "ws", extra: { user: "ws", transport: transports.websocket } });
  await world.startClient({ name: "tcp", localPort: app.port, subdomain: "tcp", extra: { user: "tcp" } });
  await world.awaitVisit("tcp.tunnel.test", "app");
  const hasLoggedIn = () => world.hook.logins.some((login) => login.user === "ws");
  await observeStillness("the websocket client is kept out", () => !hasLoggedIn(), { forMs: 2000 });
  silent.dispose();
  await world.awaitVisit("ws.tunnel.test", "app");
});

it("frpc dials through the proxy that its environment names: an agent gives it an empty one", async () => {
  await using app = await startApp("app");
  await using world = await startWorld();
  const asked: string[] = [];
  const proxy = createServer().on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  try {
    const env = { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    await world.startClient({ name: "web", localPort: app.port, subdomain: "a", env });
    await awaitFact("the proxy is asked", () => asked.length > 0, { seen: () => world.describe() });
    expect(asked[0]).toBe(`127.0.0.1:${world.settings.bindPort}`);
    expect(world.hook.logins).toEqual([]);
  } finally {
    await endServer(proxy);
  }
});
