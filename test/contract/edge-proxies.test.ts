/**
 * What the token service and the apps are told about a visitor: its address is ours to say, proxies of ours may say it to
 * us, and only the token service hears the password that proves it.
 */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { NodeEdge } from "@keyhole/edge";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { asApp, domain, type Harness, hostOf, live, openHarness, sendRaw } from "./edge-harness.ts";

const edgePassword = "p4ssw0rd-of-the-edge";
let harness: Harness;
let proxied: NodeEdge;
beforeAll(async () => {
  harness = await openHarness();
  const { host, port } = harness.options.tokenService;
  const tokenService = { host, port, edgePassword };
  proxied = await harness.again({ tokenService, trustedProxies: ["127.0.0.0/30", "2001:db8:ffff::/48"] });
  plain = await harness.again({ tokenService });
});
let plain: NodeEdge;
beforeEach(() => {
  harness.frps.seen.length = 0;
  harness.tokenService.seen.length = 0;
});
afterAll(() => harness[Symbol.asyncDispose]());

const service = `api.${domain}`;
const app = hostOf(live);
/** Sends a request with these header lines and gives back what arrived behind the edge. */
async function arrive(
  edge: NodeEdge,
  host: string,
  lines: readonly string[],
  request = "GET / HTTP/1.1",
  body = "",
): Promise<IncomingMessage> {
  const { seen } = host === app ? harness.frps : harness.tokenService;
  const before = seen.length;
  const { text } = await sendRaw(
    edge.visitorsPort,
    `${[request, `Host: ${host}`, "Connection: close", ...lines].join("\r\n")}\r\n\r\n${body}`,
  );
  expect(text).toMatch(/HTTP\/1\.1 200 /);
  // What an app or the service is told in confidence comes back to nobody.
  expect(text).not.toContain(edgePassword);
  expect(seen.length).toBe(before + 1);
  return seen[before] as IncomingMessage;
}
const linesOf = (message: IncomingMessage, name: RegExp): string[] =>
  message.rawHeaders.flatMap((part, index) => (index % 2 === 0 && name.test(part) ? [`${part}: ${message.rawHeaders[index + 1]}`] : []));

const spoofed = [
  ["one line", ["X-Forwarded-For: 6.6.6.6"]],
  ["another case", ["x-FORWARDED-fOR: 6.6.6.6"]],
  ["several lines", ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "x-forwarded-for: 8.8.8.8"]],
  ["a list", ["X-Forwarded-For: 6.6.6.6, 7.7.7.7"]],
  ["IPv6", ["X-Forwarded-For: 2001:db8::6", "X-Forwarded-For: [2001:db8::7]:80"]],
  ["an underscore", ["X_Forwarded_For: 6.6.6.6", "X-Forwarded_For: 6.6.6.6"]],
  ["its relatives", ["Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-Host: evil.example", "X_Real_Ip: 6.6.6.6"]],
  ["named in Connection", ["X-Forwarded-For: 6.6.6.6", "Connection: X-Forwarded-For, X-Keyhole-Edge, X-Real-IP"]],
] as const;

describe.each([
  ["the token service", service],
  ["an app", app],
])("what a stranger says about itself to %s", (_who, host) => {
  it.each(spoofed)("changes nothing: %s", async (_what, lines) => {
    const message = await arrive(plain, host, lines);
    expect(linesOf(message, /forwarded[-_]for|real[-_]ip|^forwarded$/i)).toEqual(["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"]);
    expect(linesOf(message, /forwarded[-_]host/i)).toEqual([`X-Forwarded-Host: ${host}`]);
  });
});

describe("a proxy of ours", () => {
  it.each([
    ["one visitor", ["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"],
    ["a visitor that lied to it", ["X-Forwarded-For: 6.6.6.6, 203.0.113.9"], "203.0.113.9"],
    ["on lines of their own", ["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 203.0.113.9"], "203.0.113.9"],
    ["through another proxy of ours", ["X-Forwarded-For: 203.0.113.9, 127.0.0.2"], "203.0.113.9"],
    ["through ours over IPv6", ["X-Forwarded-For: 2001:DB8:1:0::9, 2001:db8:ffff::1"], "2001:db8:1::9"],
    ["a mapped address", ["X-Forwarded-For: ::ffff:203.0.113.9"], "203.0.113.9"],
    ["with a port", ["X-Forwarded-For: [2001:db8:1::9]:4711"], "2001:db8:1::9"],
    ["nobody", [], "127.0.0.1"],
    ["nonsense", ['X-Forwarded-For: "><script>, ...'], "127.0.0.1"],
    ["in another header", ["Forwarded: for=6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Real-IP: 6.6.6.6"], "127.0.0.1"],
  ])("is believed: %s", async (_what, lines, address) => {
    for (const host of [service, app]) {
      const message = await arrive(proxied, host, lines);
      expect(linesOf(message, /forwarded[-_]for|real[-_]ip|^forwarded$/i)).toEqual([
        `X-Forwarded-For: ${address}`,
        `X-Real-IP: ${address}`,
      ]);
    }
  });
});

describe("the edge's password", () => {
  const guesses = [
    ["nothing sent", []],
    ["a guess", ["X-Keyhole-Edge: guess"]],
    ["another case", ["x-KEYHOLE-edge: guess"]],
    ["several", ["X-Keyhole-Edge: guess", "X-Keyhole-Edge: guess", "x-keyhole-edge:"]],
    ["underscores", ["X_Keyhole_Edge: guess", "x-keyhole_edge: guess"]],
    ["named in Connection", ["X-Keyhole-Edge: guess", "Connection: x-keyhole-edge"]],
  ] as const;

  it.each(guesses)("reaches the token service once, as it is: %s", async (_what, lines) => {
    for (const host of [service, domain]) {
      const message = await arrive(plain, host, lines);
      expect(linesOf(message, /keyhole/i)).toEqual([`X-Keyhole-Edge: ${edgePassword}`]);
    }
  });

  it.each(guesses)("reaches no app, and neither does a guess: %s", async (_what, lines) => {
    expect(linesOf(await arrive(plain, app, lines), /keyhole/i)).toEqual([]);
  });

  it.each([
    ["a body", ["Content-Length: 5"], "POST / HTTP/1.1", "hello"],
    ["an expectation", ["Content-Length: 5", "Expect: 100-continue"], "POST / HTTP/1.1", "hello"],
    [
      "a trailer",
      ["Transfer-Encoding: chunked", "Trailer: X-Keyhole-Edge"],
      "POST / HTTP/1.1",
      "5\r\nhello\r\n0\r\nX-Keyhole-Edge: guess\r\n\r\n",
    ],
    ["an upgrade that is none", ["Upgrade: h2c", "Connection: upgrade"], "GET / HTTP/1.1", ""],
    ["HTTP/1.0", [], "GET / HTTP/1.0", ""],
  ])("every way of asking is the same: %s", async (_what, lines, request, body) => {
    for (const host of [service, app]) {
      const message = await arrive(plain, host, ["X-Keyhole-Edge: guess", "X-Forwarded-For: 6.6.6.6", ...lines], request, body);
      expect(linesOf(message, /keyhole|forwarded-for/i)).toEqual([
        "X-Forwarded-For: 127.0.0.1",
        ...(host === service ? [`X-Keyhole-Edge: ${edgePassword}`] : []),
      ]);
      expect(message.rawTrailers).toEqual([]);
    }
  });

  it("a WebSocket handshake reaches the app without it, and the token service as a plain request with it", async () => {
    const accepting = new WebSocketServer({ noServer: true });
    accepting.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    const handshakes: IncomingMessage[] = [];
    harness.frps.server.on("upgrade", (req, socket, head) => {
      handshakes.push(req);
      accepting.handleUpgrade(req, socket, head, () => {});
    });
    const headers = { "X-Keyhole-Edge": "guess", "X-Forwarded-For": "6.6.6.6" };
    const ws = new WebSocket(`ws://127.0.0.1:${plain.visitorsPort}/`, { headers: { Host: app, ...headers } });
    await once(ws, "open");
    ws.terminate();
    expect(handshakes.map((each) => linesOf(each, /keyhole|forwarded-for/i))).toEqual([["X-Forwarded-For: 127.0.0.1"]]);
    harness.frps.server.removeAllListeners("upgrade");

    const upgrade = [
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ];
    const lines = ["X-Keyhole-Edge: guess", "X-Forwarded-For: 6.6.6.6", ...upgrade];
    const { text } = await sendRaw(plain.visitorsPort, `GET / HTTP/1.1\r\nHost: ${service}\r\n${lines.join("\r\n")}\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    const message = harness.tokenService.seen.at(-1) as IncomingMessage;
    expect(linesOf(message, /keyhole|forwarded-for|^upgrade$/i)).toEqual(["X-Forwarded-For: 127.0.0.1", `X-Keyhole-Edge: ${edgePassword}`]);
  });

  it("9: is in no log line, and in no answer that repeats what it was asked", async () => {
    harness.frps.handle = (req, res) => {
      req.resume();
      asApp(res).end(JSON.stringify(req.rawHeaders));
    };
    for (const host of [app, hostOf(live).toUpperCase(), "evil.example", `0x${"0".repeat(40)}.${domain}`]) {
      const { text } = await sendRaw(
        plain.visitorsPort,
        `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Keyhole-Edge: guess\r\nConnection: close\r\n\r\n`,
      );
      expect(text).not.toMatch(/guess|p4ssw0rd/);
    }
    expect(JSON.stringify(harness.logged)).not.toMatch(/guess|p4ssw0rd/);
  });
});
