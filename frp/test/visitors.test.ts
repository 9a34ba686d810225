/**
 * What frps itself says to visitors, and what it lets through to an app (frp.md §7, §8): why a visitor meets the edge first,
 * and how the edge tells frps's answers from an app's. One frps for all of them: nothing here changes it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { awaitFact, observeStillness } from "./support/await-fact.ts";
import { type EchoApp, headerOf, startEchoApp } from "./support/echo-app.ts";
import { register } from "./support/hook-server.ts";
import { openRawVisitor, visitRaw } from "./support/raw-visit.ts";
import { freePorts } from "./support/servers.ts";
import { startWorld, type World } from "./support/world.ts";

const host = "a.tunnel.test";
let world: World;
let app: EchoApp;

beforeAll(async () => {
  app = await startEchoApp();
  world = await startWorld({
    settings: { vhostHttpTimeoutSeconds: 2 },
    script: { newProxy: (content) => register(content, [`${content.subdomain}.tunnel.test`], { response_headers: { "x-mark": "m1" } }) },
  });
  const [deadPort = 0] = await freePorts(1);
  await world.startClient({
    name: "",
    localPort: 1,
    subdomain: "",
    proxies: [
      { name: "a", type: "http", localPort: app.port, subdomain: "a" },
      { name: "locked", type: "http", localPort: app.port, subdomain: "locked", httpUser: "u", httpPassword: "p" },
      { name: "down", type: "http", localPort: deadPort, subdomain: "down" },
    ],
  });
  await awaitFact("all are up", async () => (await world.dashboard.readProxies()).length === 3, { seen: () => world.describe() });
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

const ask = (...lines: string[]): Promise<string> => visitRaw(world.settings.vhostHttpPort, [...lines, "Connection: close"]);
const get = (path: string, ...more: string[]): Promise<string> => ask(`GET ${path} HTTP/1.1`, `Host: ${host}`, ...more);
const isMarked = (answer: string): boolean => /^x-mark: m1\r$/im.test(answer);

describe("frps's own answers have no mark", () => {
  it.each([
    ["an unknown host", "GET / HTTP/1.1", "nobody.tunnel.test"],
    ["an app that is down", "GET / HTTP/1.1", "down.tunnel.test"],
    ["a POST to an app that is down", "POST / HTTP/1.1", "down.tunnel.test"],
    ["a Host with two trailing dots", "GET / HTTP/1.1", `${host}..`],
    ["an empty Host", "GET / HTTP/1.1", ""],
  ])("404 for %s: frp's page, and nothing in it to tell one case from another", async (_title, line, name) => {
    const answer = await ask(line, `Host: ${name}`);
    expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    const names = head
      .split("\r\n")
      .slice(1)
      .map((entry) => entry.split(":")[0]);
    expect(names.sort()).toEqual(["Connection", "Content-Length", "Content-Type", "Date"]);
    expect(body).toContain("frp");
    expect(Buffer.byteLength(body)).toBeLessThan(1024);
  });

  it("504 with an empty body for an app that does not answer within vhostHTTPTimeout", async () => {
    const answer = await get("/silent");
    expect(answer).toMatch(/^HTTP\/1\.1 504 Gateway Timeout\r\n/);
    expect([isMarked(answer), answer.split("\r\n\r\n")[1]]).toEqual([false, ""]);
  });

  it.each([
    [400, ["GET / HTTP/1.1"]],
    [400, ["GET / HTTP/1.1", `Host: ${host}`, "Host: b.tunnel.test"]],
    [400, ["GET / HTTP/1.1", `Host: ${host}`, "Content-Length: 1", "Content-Length: 2"]],
    [417, ["GET / HTTP/1.1", `Host: ${host}`, "Expect: something"]],
    [431, ["GET / HTTP/1.1", `Host: ${host}`, `x-large: ${"x".repeat(1_100_000)}`]],
    [401, ["GET / HTTP/1.1", "Host: locked.tunnel.test"]],
  ])("%i for what Go's own server refuses (%#)", async (status, lines) => {
    const answer = await ask(...lines);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(isMarked(answer)).toBe(false);
  });

  it("the app's own 404 has the mark", async () => {
    const answer = await get("/missing");
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(isMarked(answer)).toBe(true);
  });
});

describe("what reaches the app", () => {
  it.each([
    ["in upper case", host.toUpperCase()],
    ["with a port", `${host}:8080`],
    ["with a trailing dot", `${host}.`],
  ])("the host %s is the same host, and goes on as it was written", async (_title, written) => {
    expect(isMarked(await ask("GET / HTTP/1.1", `Host: ${written}`))).toBe(true);
    expect(headerOf(app.asked.at(-1), "host")).toBe(written);
  });

  it("a Host with three trailing dots is a key of frps's own connection pool: it reaches the app past its password", async () => {
    const password = `Authorization: Basic ${Buffer.from("u:p").toString("base64")}`;
    const port = world.settings.vhostHttpPort;
    expect(await visitRaw(port, ["GET / HTTP/1.1", "Host: locked.tunnel.test", password, "Connection: close"])).toMatch(/ 200 OK/);
    expect(await ask("GET /past HTTP/1.1", "Host: locked.tunnel.test")).toMatch(/ 401 /);
    expect(await ask("GET /past HTTP/1.1", "Host: locked.tunnel.test...")).toMatch(/ 200 OK/);
    expect(app.asked.at(-1)?.url).toBe("/past");
  });

  it("a CONNECT is handed to the app, and an absolute form with another Host is routed by its own", async () => {
    expect(await ask(`CONNECT ${host}:80 HTTP/1.1`, `Host: ${host}`)).toContain("connected to the app");
    expect(app.asked.at(-1)?.method).toBe("CONNECT");
    expect(isMarked(await ask(`GET http://${host}/abs HTTP/1.1`, "Host: nobody.tunnel.test"))).toBe(true);
    expect(app.asked.at(-1)?.url).toContain("/abs");
  });

  it.each([
    ["/?a=1;b=2&c=3", "/?c=3"],
    ["/?a=%zz&b=1", "/?b=1"],
    ["/?q=1%202&a=b+c", "/?q=1%202&a=b+c"],
  ])("a query as %s arrives as %s", async (asked, arrived) => {
    await get(asked);
    expect(app.asked.at(-1)?.url).toBe(arrived);
  });

  it("X-Forwarded-For grows, X-Forwarded-Host and -Proto are frps's, Forwarded is dropped, X-Real-IP is believed", async () => {
    const own = [
      "X-Forwarded-For: 1.2.3.4",
      "X-Forwarded-Host: evil",
      "X-Forwarded-Proto: gopher",
      "Forwarded: for=evil",
      "X-Real-IP: 5.6.7.8",
    ];
    await get("/", ...own);
    const arrived = app.asked.at(-1);
    expect(headerOf(arrived, "x-forwarded-for")).toBe("1.2.3.4, 127.0.0.1");
    expect(headerOf(arrived, "x-forwarded-host")).toBe(host);
    expect(headerOf(arrived, "x-forwarded-proto")).toBe("http");
    expect(headerOf(arrived, "forwarded")).toBeUndefined();
    expect(headerOf(arrived, "x-real-ip")).toBe("5.6.7.8");
  });

  it("a header that Connection names is deleted, so a visitor could delete the edge's", async () => {
    await visitRaw(world.settings.vhostHttpPort, ["GET / HTTP/1.1", `Host: ${host}`, "X-Real-IP: 5.6.7.8", "Connection: close, X-Real-IP"]);
    expect(headerOf(app.asked.at(-1), "x-real-ip")).toBeUndefined();
  });

  it("a visitor who accepts no coding, or an empty one, asks the app for gzip: only a word for none is passed on", async () => {
    for (const [sent, arrived] of [
      [[], "gzip"],
      [["Accept-Encoding:"], ", gzip"],
      [["Accept-Encoding: identity"], "identity"],
    ] as const) {
      await get("/", ...sent);
      expect(headerOf(app.asked.at(-1), "accept-encoding")).toBe(arrived);
    }
  });
});

it("a stream flows before it ends and beyond vhostHTTPTimeout; while the hook is dead, what lives goes on living", async () => {
  using stream = openRawVisitor(world.settings.vhostHttpPort, ["GET /stream HTTP/1.1", `Host: ${host}`]);
  await awaitFact("its first bytes are here", () => stream.received().includes("first"), { seen: () => stream.received() });
  await world.hook.pause();
  try {
    await observeStillness("it stays open", () => !stream.hasEnded(), { forMs: 2500 });
    app.streams.at(-1)?.write("second");
    await awaitFact("the stream goes on", () => stream.received().includes("second"), { seen: () => stream.received() });
    expect(isMarked(await get("/"))).toBe(true);
  } finally {
    await world.hook.resume();
  }
});
