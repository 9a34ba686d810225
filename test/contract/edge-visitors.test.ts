/**
 * What a visitor gets, row by row: the edge's contract for HTTP/1.1 (DESIGN.md §6). The same rows will run against the
 * production door.
 */
import { createServer } from "node:net";
import { Fault } from "@keyhole/core";
import { startNodeEdge } from "@keyhole/edge";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  asApp,
  asFrps,
  domain,
  type Harness,
  hostOf,
  labelOf,
  live,
  offline,
  openHarness,
  portOf,
  sendRaw,
  visit,
} from "./edge-harness.ts";

let harness: Harness;
let handle: Harness["frps"]["handle"];
beforeAll(async () => {
  harness = await openHarness();
  handle = harness.frps.handle;
});
beforeEach(() => {
  harness.frps.handle = handle;
  harness.frps.seen.length = 0;
});
afterAll(() => harness[Symbol.asyncDispose]());

const host = hostOf(live);
const seen = () => {
  const request = harness.frps.seen.at(-1);
  if (request === undefined) throw new Error("the app saw nothing");
  return request;
};

describe("hosts", () => {
  it.each([
    ["as it is", host],
    ["in capitals", host.toUpperCase().replace("0X", "0x")],
    ["in capitals, 0X too", host.toUpperCase()],
    ["with a port", `${host}:443`],
  ])("a live label answers: %s", async (_name, header) => {
    const reply = await visit(harness.edge, header);
    expect(reply.status).toBe(200);
    expect(reply.body.toString()).toBe(`hello from ${host}`);
    expect(reply.headers.get("x-request-id")).toMatch(/^request-/);
    expect(reply.headers.has("x-keyhole-app")).toBe(false);
  });

  it.each([
    ["two ports", `${host}:1:2`, 400, "HOST_INVALID"],
    ["a colon", `${host}:`, 400, "HOST_INVALID"],
    ["a port with a letter", `${host}:44x`, 400, "HOST_INVALID"],
    ["a trailing dot", `${host}.`, 404, "UNKNOWN_HOST"],
    ["three trailing dots", `${host}...`, 400, "HOST_INVALID"],
    ["a name below the label", `a.${host}`, 404, "UNKNOWN_HOST"],
    ["39 digits", `0x${"a".repeat(39)}.${domain}`, 404, "UNKNOWN_HOST"],
    ["another domain", "example.org", 421, "HOST_NOT_SERVED"],
    ["an address", "192.0.2.1", 421, "HOST_NOT_SERVED"],
    ["an IPv6 address", "[::1]", 421, "HOST_NOT_SERVED"],
    ["user info", `a@${host}`, 400, "HOST_INVALID"],
    ["a space", `a b.${domain}`, 400, "HOST_INVALID"],
    ["other letters", `\u00e4.${domain}`, 400, "HOST_INVALID"],
    ["5,000 characters", `${"a".repeat(5000)}.${domain}`, 400, "HOST_INVALID"],
    ["nothing", "", 400, "HOST_INVALID"],
  ])("a host that is none of ours is refused: %s", async (_name, header, status, code) => {
    const { text } = await sendRaw(harness.edge.visitorsPort, Buffer.from(`GET / HTTP/1.1\r\nHost: ${header}\r\n\r\n`, "latin1"), {
      until: /\r\n\r\n.*}/s,
    });
    expect(text).toContain(`HTTP/1.1 ${status} `);
    expect(text).toContain(`"code":"${code}"`);
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("the control host has nothing for visitors", async () => {
    const edge = await harness.again({ controlHost: `control.${domain}` });
    expect((await visit(edge, `control.${domain}`, { path: "/~!frp" })).json["code"]).toBe("UNKNOWN_HOST");
    await edge.stop();
  });
});

describe("service hosts", () => {
  it.each([domain, `api.${domain}`])("%s is the token service, with our own forwarded headers", async (name) => {
    const reply = await visit(harness.edge, name, { path: "/health", headers: { "X-Forwarded-For": "6.6.6.6" } });
    expect(reply.status).toBe(200);
    const request = harness.tokenService.seen.at(-1);
    expect(request?.url).toBe("/health");
    expect(request?.headers).toMatchObject({
      host: name,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": name,
    });
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("7: a token service that is down is said so, and live labels do not notice", async () => {
    const edge = await harness.again({ tokenService: { ...harness.options.tokenService, port: await freePort() } });
    const reply = await visit(edge, `api.${domain}`, { method: "POST", body: "{}" });
    expect(reply.status).toBe(503);
    expect(reply.json["code"]).toBe("SERVICE_UNAVAILABLE");
    expect(reply.headers.get("retry-after")).toBe("5");
    expect((await visit(edge, host)).status).toBe(200);
    await edge.stop();
  });
});

describe("headers toward the app", () => {
  it("what a visitor says on our behalf is gone, and ours is there", async () => {
    await visit(harness.edge, `${host}:7080`, {
      headers: {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Port": "1",
        Forwarded: "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X-Request-Id": "mine",
        "X-Keyhole-App": "1",
        X_Forwarded_For: "6.6.6.6",
        "HTTP2-Settings": "AAA",
        Connection: "close, X-Forwarded-For, X-Custom",
        "X-Custom": "stays",
        Cookie: "a=1",
      },
    });
    const { headers } = seen();
    expect(headers).toMatchObject({
      host,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": host,
      "x-real-ip": "127.0.0.1",
      "x-custom": "stays",
      cookie: "a=1",
      "accept-encoding": "identity",
    });
    expect(headers["x-request-id"]).toMatch(/^request-/);
    for (const gone of ["forwarded", "x-forwarded-port", "x-keyhole-app", "x_forwarded_for", "http2-settings"])
      expect(headers[gone]).toBeUndefined();
    expect(headers.connection).toBe("keep-alive");
  });

  it("case, order and repetition of the rest stay", async () => {
    await visit(harness.edge, host, { headers: { "X-MiXed": ["one", "two"], "Accept-Encoding": "gzip" } });
    const raw = seen().rawHeaders;
    expect(raw.filter((_, index) => raw[index - (index % 2)] === "X-MiXed")).toEqual(["X-MiXed", "one", "X-MiXed", "two"]);
    expect(seen().headers["accept-encoding"]).toBe("gzip");
  });

  it("path and query arrive as they were sent", async () => {
    await visit(harness.edge, host, { path: "//a/../b%zz?x=1;y=2&z=%" });
    expect(seen().url).toBe("//a/../b%zz?x=1;y=2&z=%");
  });
});

describe("answers of the app", () => {
  it.each([404, 500, 502, 503, 504, 400, 417, 431])("the app's own %i is untouched", async (status) => {
    harness.frps.handle = (_req, res) => void asApp(res, status, { "Content-Type": "text/x-own", "X-Own": "1" }).end("own words");
    const reply = await visit(harness.edge, host, { headers: { Accept: "text/html" } });
    expect(reply.status).toBe(status);
    expect(reply.body.toString()).toBe("own words");
    expect(reply.headers.get("x-own")).toBe("1");
    expect(reply.headers.has("x-keyhole-app")).toBe(false);
    expect(reply.headers.has("access-control-allow-origin")).toBe(false);
  });

  it.each([204, 304])("%i has no body", async (status) => {
    harness.frps.handle = (_req, res) => void asApp(res, status, { ETag: '"x"' }).end();
    const reply = await visit(harness.edge, host);
    expect(reply.status).toBe(status);
    expect(reply.headers.get("etag")).toBe('"x"');
    expect(reply.body).toHaveLength(0);
  });

  it("HEAD has the length and no body", async () => {
    harness.frps.handle = (_req, res) => void asApp(res, 200, { "Content-Length": "12345" }).end();
    const reply = await visit(harness.edge, host, { method: "HEAD" });
    expect(reply.headers.get("content-length")).toBe("12345");
    expect(reply.body).toHaveLength(0);
  });

  it("cookies lose their Domain and nothing else; repeated ones stay repeated", async () => {
    harness.frps.handle = (_req, res) =>
      void asApp(res, 200, {
        "Set-Cookie": [`a=1; Domain=.${domain}; Path=/; HttpOnly`, "b=domain; path=/", `c=3;DOMAIN = ${domain}`],
      }).end();
    const reply = await visit(harness.edge, host);
    expect(reply.headers.getSetCookie()).toEqual(["a=1; Path=/; HttpOnly", "b=domain; path=/", "c=3"]);
  });

  it("the app's own X-Request-Id stays, and ours is added when there is none", async () => {
    harness.frps.handle = (_req, res) => void asApp(res, 200, { "X-Request-Id": "theirs" }).end();
    expect((await visit(harness.edge, host)).headers.get("x-request-id")).toBe("theirs");
  });

  it("a compressed answer and a part of one pass bit by bit", async () => {
    const bytes = Buffer.from([0x1f, 0x8b, 0, 1, 2, 3]);
    harness.frps.handle = (_req, res) =>
      void asApp(res, 206, { "Content-Encoding": "gzip", "Content-Range": "bytes 0-5/100", "Content-Length": "6" }).end(bytes);
    const reply = await visit(harness.edge, host, { headers: { "Accept-Encoding": "gzip", Range: "bytes=0-5" } });
    expect(reply.status).toBe(206);
    expect(reply.body.equals(bytes)).toBe(true);
    expect(reply.headers.get("content-encoding")).toBe("gzip");
    expect(seen().headers.range).toBe("bytes=0-5");
  });

  it("early hints and their marker do not reach the visitor", async () => {
    harness.frps.handle = (_req, res) => {
      res.writeEarlyHints({ link: "</a.css>; rel=preload", "x-keyhole-app": "1" });
      asApp(res).end("after");
    };
    const { text } = await sendRaw(harness.edge.visitorsPort, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 200 /);
    expect(text.toLowerCase()).not.toContain("x-keyhole-app");
  });

  it("trailers follow the body, without the marker", async () => {
    harness.frps.handle = (_req, res) => {
      asApp(res, 200, { Trailer: "X-Sum, X-Keyhole-App" }).write("body");
      res.addTrailers({ "X-Sum": "abc", "X-Keyhole-App": "1" });
      res.end();
    };
    const { text } = await sendRaw(harness.edge.visitorsPort, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(/0\r\nX-Sum: abc\r\n\r\n$/);
    expect(text.toLowerCase()).not.toContain("x-keyhole-app");
  });

  it.each(["OPTIONS", "PROPFIND", "PUT", "DELETE", "PATCH"])("%s is the app's to answer", async (method) => {
    expect((await visit(harness.edge, host, { method })).status).toBe(200);
    expect(seen().method).toBe(method);
  });
});

describe("frps's own answers", () => {
  it.each([
    [504, 504, "APP_TIMEOUT", "15"],
    [400, 400, "REQUEST_MALFORMED", null],
    [417, 417, "EXPECTATION_FAILED", null],
    [431, 431, "HEADERS_TOO_LARGE", null],
    [404, 502, "APP_UNREACHABLE", "5"],
    [200, 502, "APP_UNREACHABLE", "5"],
  ])("11: an unmarked %i is answered by us with %i", async (status, own, code, retryAfter) => {
    harness.frps.handle = (_req, res) => asFrps(res, status);
    const reply = await visit(harness.edge, host);
    expect(reply.status).toBe(own);
    expect(reply.json["code"]).toBe(code);
    expect(reply.headers.get("retry-after")).toBe(retryAfter);
    expect(reply.body.toString()).not.toContain("frp:");
  });

  it("an app that is down is said to be down after about 100 ms, whatever was asked", async () => {
    harness.frps.handle = (_req, res) => asFrps(res);
    const start = performance.now();
    const page = await visit(harness.edge, host, { headers: { Accept: "text/html,application/xhtml+xml" } });
    const ms = performance.now() - start;
    expect(page.status).toBe(502);
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(page.body.toString()).toContain("APP_UNREACHABLE");
    expect(ms).toBeGreaterThan(90);
    expect(ms).toBeLessThan(600);
    const head = await visit(harness.edge, host, { method: "HEAD" });
    expect(head.status).toBe(502);
    expect(head.body).toHaveLength(0);
    expect(Number(head.headers.get("content-length"))).toBeGreaterThan(0);
  });

  it("50 MB for an app that is down are answered promptly", async () => {
    harness.frps.handle = (_req, res) => asFrps(res);
    const reply = await visit(harness.edge, host, { method: "POST", body: Buffer.alloc(50 * 1024 * 1024) });
    expect(reply.status).toBe(502);
    expect(reply.json["code"]).toBe("APP_UNREACHABLE");
  });

  it("a frps that is down is 503 at once", async () => {
    const edge = await harness.again({ frps: { ...harness.options.frps, vhostPort: await freePort() } });
    const start = performance.now();
    const reply = await visit(edge, host);
    expect(reply.status).toBe(503);
    expect(reply.json["code"]).toBe("TUNNEL_OFFLINE");
    expect(performance.now() - start).toBeLessThan(500);
    await edge.stop();
  });
});

describe("answers of the edge", () => {
  it("11: an offline label is 503 from the edge itself, with the hour it was last seen", async () => {
    const label = labelOf("1");
    await harness.door.delete(label, { lastSeen: new Date("2026-03-04T05:59:58Z"), reason: "ended" });
    const reply = await visit(harness.edge, hostOf(label));
    expect(reply.status).toBe(503);
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
    expect(reply.headers.get("retry-after")).toBe("15");
    expect(reply.headers.get("cache-control")).toBe("no-store");
    expect(reply.headers.get("access-control-allow-origin")).toBe("*");
    expect(reply.headers.has("access-control-allow-credentials")).toBe(false);
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect(reply.headers.get("vary")).toBe("Accept");
    expect(reply.json).toMatchObject({ code: "TUNNEL_OFFLINE", status: 503, lastSeen: "2026-03-04T05:00:00.000Z" });
    expect(reply.json["requestId"]).toBe(reply.headers.get("x-request-id"));
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("a browser gets a page without anything from elsewhere", async () => {
    const reply = await visit(harness.edge, hostOf(offline), { headers: { Accept: "text/html,*/*;q=0.8" } });
    expect(reply.status).toBe(503);
    expect(reply.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(reply.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(reply.body.toString()).toContain("<!doctype html>");
    expect(reply.body.toString()).not.toMatch(/<script|src=|href=|url\(/);
  });

  it("HEAD and a CORS preflight get the same status, and scripts may read it", async () => {
    const head = await visit(harness.edge, hostOf(offline), { method: "HEAD" });
    expect([head.status, head.body.length]).toEqual([503, 0]);
    const preflight = await visit(harness.edge, hostOf(offline), {
      method: "OPTIONS",
      headers: { Origin: "https://app.example", "Access-Control-Request-Method": "POST" },
    });
    expect(preflight.status).toBe(503);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("12: a blocked label is 403, live or not, and 200 again after unblock", async () => {
    await harness.door.block(live);
    await harness.door.block(offline);
    for (const label of [live, offline]) {
      const reply = await visit(harness.edge, hostOf(label));
      expect([reply.status, reply.json["code"]]).toEqual([403, "ADDRESS_BLOCKED"]);
    }
    await harness.door.unblock(live);
    await harness.door.unblock(offline);
    expect((await visit(harness.edge, host)).status).toBe(200);
  });

  it("counts what it did", () => {
    const stats = harness.edge.stats();
    expect(stats.requestsTotal.tunnel.proxied).toBeGreaterThan(0);
    expect(stats.requestsTotal.tunnel.offline).toBeGreaterThan(0);
    expect(stats.requestsTotal.none.refused).toBeGreaterThan(0);
    expect(stats.bytesOutTotal).toBeGreaterThan(0);
    expect(stats.held).toBe(0);
  });
});

it("a busy port is a fault that names it", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const port = portOf(taken);
  const failure = await startNodeEdge({ ...harness.options, control: { ...harness.options.control, port } }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(Fault);
  expect(failure).toMatchObject({ code: "PORT_BUSY", message: expect.stringContaining(`127.0.0.1:${port}`) });
  taken.close();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
