/**
 * Raw bytes at the visitors' port: request smuggling, odd forms, slow and hostile framing. What is held up: nothing
 * reaches the app that is not one well-formed request, and every "no" closes the connection or stays in step.
 */
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  asApp,
  asFrps,
  domain,
  eventually,
  type Harness,
  hostOf,
  labelOf,
  live,
  offline,
  openHarness,
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
const send = (bytes: string | Buffer, options?: Parameters<typeof sendRaw>[2]) => sendRaw(harness.edge.visitorsPort, bytes, options);

describe("form", () => {
  it.each([
    ["two different Hosts", `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${hostOf(offline)}\r\n\r\n`, "HOST_INVALID"],
    ["the same Host twice", `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`, "HOST_INVALID"],
    ["a comma in Host", `GET / HTTP/1.1\r\nHost: ${host},${host}\r\n\r\n`, "HOST_INVALID"],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", "HOST_INVALID"],
    ["no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", "HOST_INVALID"],
    ["absolute form", `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["absolute form, other host", `GET http://${hostOf(offline)}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["a path without slash", `GET a HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["a fragment", `GET /a#b HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["chunked in 1.0", `POST / HTTP/1.0\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, "REQUEST_MALFORMED"],
    ["another coding", `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, "REQUEST_MALFORMED"],
    ["identity", `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: identity\r\n\r\n`, "REQUEST_MALFORMED"],
    ["chunked twice", `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, "REQUEST_MALFORMED"],
    [
      "two codings",
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "REQUEST_MALFORMED",
    ],
    ["a space before the colon", `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, "REQUEST_MALFORMED"],
    ["two lengths", `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`, "REQUEST_MALFORMED"],
    ["a length with a sign", `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: +1\r\n\r\na`, "REQUEST_MALFORMED"],
    ["an empty length", `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: \r\n\r\n`, "REQUEST_MALFORMED"],
    ["a bad chunk", `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\na\r\n0\r\n\r\n`, "REQUEST_MALFORMED"],
    ["NUL in a name", `GET / HTTP/1.1\r\nHost: ${host}\r\nA\0b: c\r\n\r\n`, "REQUEST_MALFORMED"],
    ["a bare line feed", `GET / HTTP/1.1\nHost: ${host}\n\n`, "REQUEST_MALFORMED"],
    [
      "length and chunked",
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      "REQUEST_MALFORMED",
    ],
    ["HTTP/2.0 by name", `GET / HTTP/2.0\r\nHost: ${host}\r\n\r\n`, "REQUEST_MALFORMED"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "REQUEST_MALFORMED"],
    ["no HTTP at all", "\u0016\u0003\u0001 this is not HTTP\r\n\r\n", "REQUEST_MALFORMED"],
  ])("%s is 400 and nothing reaches the app", async (_name, bytes, code) => {
    const { text } = await send(Buffer.from(bytes, "latin1"), { until: /\r\n\r\n.*}/s });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain(`"code":"${code}"`);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(harness.frps.seen).toHaveLength(0);
  });

  it.each([
    ["CONNECT", `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`],
    ["TRACE", `TRACE / HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    ["TRACK", `TRACK / HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
  ])("%s is 405 and says what is allowed", async (_name, bytes) => {
    const { text } = await send(bytes, { until: /}/ });
    expect(text).toMatch(/^HTTP\/1\.1 405 /);
    expect(text).toMatch(/\r\nAllow: GET, /);
    expect(text).toContain('"code":"METHOD_NOT_ALLOWED"');
    expect(harness.frps.seen).toHaveLength(0);
  });

  it.each([
    ["20 kB in one header", `X: ${"a".repeat(20_000)}\r\n`],
    ["300 headers", "a: b\r\n".repeat(300)],
  ])("%s is 431", async (_name, block) => {
    const { text } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${block}\r\n`, { until: /}/ });
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
    expect(text).toContain('"code":"HEADERS_TOO_LARGE"');
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("12 kB of headers pass", async () => {
    expect((await visit(harness.edge, host, { headers: { Cookie: "a".repeat(12_000) } })).status).toBe(200);
  });

  it("an expectation that nobody can meet is 417", async () => {
    const { text } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\nExpect: wonders\r\n\r\n`, { until: /}/ });
    expect(text).toMatch(/^HTTP\/1\.1 417 /);
    expect(text).toContain('"code":"EXPECTATION_FAILED"');
  });

  it.each(["h2c", "websocket, h2c", "TLS/1.0"])("Upgrade: %s is ignored: plain HTTP/1.1, and the app does not see it", async (protocol) => {
    const { text } = await send(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
      { until: /hello/ },
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(harness.frps.seen.at(-1)?.headers.upgrade).toBeUndefined();
    expect(harness.frps.seen.at(-1)?.headers["http2-settings"]).toBeUndefined();
  });
});

describe("staying in step", () => {
  it("pipelined requests are answered in order, each by its own host", async () => {
    const other = labelOf("b");
    await harness.door.put({ label: other, since: new Date() });
    const { text } = await send(
      `GET /1 HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /2 HTTP/1.1\r\nHost: ${hostOf(offline)}\r\n\r\nGET /3 HTTP/1.1\r\nHost: ${hostOf(other)}\r\nConnection: close\r\n\r\n`,
    );
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 200"]);
    expect(text).toMatch(/hello from 0xaaa.*TUNNEL_OFFLINE.*hello from 0xbbb/s);
  });

  it("an unread body is never taken for the next request", async () => {
    const inner = `GET /inner HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const { text, isClosed } = await send(`POST / HTTP/1.1\r\nHost: ${hostOf(offline)}\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`);
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect(text).toMatch(/\r\nConnection: close\r\n/);
    expect(isClosed).toBe(true);
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("a body that the app did not read does not disturb the next request on the connection", async () => {
    harness.frps.handle = (req, res) => {
      if (req.url === "/upload") asApp(res, 413, { "Content-Length": "3" }).end("big");
      else handle(req, res);
    };
    const body = "GET /inner HTTP/1.1\r\n".repeat(100);
    const { text } = await send(
      `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}GET /next HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
    expect(harness.frps.seen.map((request) => request.url)).toEqual(["/upload", "/next"]);
  });

  it("garbage behind a request under way closes the connection without words in between", async () => {
    let release = (): void => {};
    harness.frps.handle = (_req, res) => {
      release = () => asApp(res).end("late");
    };
    const reply = send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n\0\0\0garbage`);
    const { text, isClosed } = await reply;
    release();
    expect(text).not.toContain("REQUEST_MALFORMED");
    expect(isClosed).toBe(true);
  });

  it("an answer with a broken chunk or a wrong length never ends cleanly", async () => {
    for (const bytes of [
      "HTTP/1.1 200 OK\r\nX-Keyhole-App: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz",
      "HTTP/1.1 200 OK\r\nX-Keyhole-App: 1\r\nContent-Length: 50\r\n\r\nhello",
    ]) {
      harness.frps.handle = (req) => {
        req.socket.end(bytes);
      };
      const { text, isClosed } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(text).toContain("hello");
      expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(isClosed).toBe(true);
    }
  });

  it("an answer that is no HTTP is 502", async () => {
    harness.frps.handle = (req) => void req.socket.end("what?\r\n\r\n");
    const reply = await visit(harness.edge, host);
    expect([reply.status, reply.json["code"]]).toEqual([502, "APP_UNREACHABLE"]);
  });

  it("Expect: 100-continue: told to go on only when the app is to get the body", async () => {
    const refused = await send(`POST / HTTP/1.1\r\nHost: ${hostOf(offline)}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    expect(refused.text).toMatch(/^HTTP\/1\.1 503 /);
    expect(refused.isClosed).toBe(true);
    const { text } = await send(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(harness.frps.seen.at(-1)?.headers.expect).toBeUndefined();
  });

  it("headers that do not come are 408 after ten seconds, and silence is closed in silence", { timeout: 30_000 }, async () => {
    const [slow, silent] = await Promise.all([
      send(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Slow`, { deadlineMs: 20_000 }),
      send("", { deadlineMs: 20_000 }),
    ]);
    expect(slow.text).toMatch(/^HTTP\/1\.1 408 /);
    expect(slow.text).toContain('"code":"REQUEST_TIMEOUT"');
    expect(slow.isClosed).toBe(true);
    expect(silent).toEqual({ text: "", isClosed: true });
  });
});

describe("properties", () => {
  /** Every answer is one of the contract's, and the edge is still there afterwards. */
  const expectHonest = (text: string): void => {
    for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      expect(Number(status) < 500 || ["502", "503", "504"].includes(String(status)), text.slice(0, 200)).toBe(true);
    }
    expect(text).not.toContain("frp:");
  };

  it("11: arbitrary bytes get a 4xx or silence, never a 500, a crash or a hang", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const { text } = await send(Buffer.concat([Buffer.from(bytes), Buffer.from("\r\n\r\n")]), { until: /\r\n\r\n/, deadlineMs: 2000 });
        expect(text === "" || /^HTTP\/1\.1 4\d\d /.test(text), text.slice(0, 200)).toBe(true);
      }),
      { numRuns: 60 },
    );
    expect((await visit(harness.edge, host)).status).toBe(200);
  });

  it("11: arbitrary hosts never reach a tunnel that they do not name", async () => {
    const part = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom(host, domain, ".", ":", "..", "@", ",", " ", "0x", "%00", "[", "]", "\u00ff", "/"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        const name = parts.join("").replace(/[\r\n\0]/g, "");
        const before = harness.frps.seen.length;
        const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`, "latin1");
        const { text } = await send(bytes, { deadlineMs: 2000 });
        expectHonest(text);
        const isOurs = new RegExp(`^\\s*${host.replaceAll(".", "\\.")}(:\\d{1,5})?\\s*$`, "i").test(name);
        expect(harness.frps.seen.length > before).toBe(isOurs);
      }),
      { numRuns: 100 },
    );
  });

  it("arbitrary headers reach the app as they are or not at all, and never as ours", async () => {
    const name = fc.oneof(
      fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,20}$/),
      fc.constantFrom(
        "X-Forwarded-For",
        "x_forwarded_for",
        "X-Real-Ip",
        "X-Keyhole-App",
        "Forwarded",
        "Connection",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "Via",
      ),
    );
    const value = fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom("6.6.6.6", "close", "X-Real-IP", "websocket", "trailers"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 12 }), async (headers) => {
        const usable = headers.filter(([key]) => !/^(host|content-length|transfer-encoding|expect)$/i.test(key));
        const block = usable.map(([key, text]) => `${key}: ${text.replace(/[^\t\x20-\x7e]/g, "")}\r\n`).join("");
        const before = harness.frps.seen.length;
        const { text } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${block}\r\n`, { until: /hello|}/, deadlineMs: 2000 });
        expectHonest(text);
        expect(text).toMatch(/^HTTP\/1\.1 200 /);
        const request = harness.frps.seen[before];
        expect(request?.headers).toMatchObject({
          host,
          "x-forwarded-for": "127.0.0.1",
          "x-real-ip": "127.0.0.1",
          "x-forwarded-proto": "https",
        });
        expect(request?.headers["x-keyhole-app"]).toBeUndefined();
        expect(request?.headers["x_forwarded_for"]).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it("11: whatever frps or an app answers, the visitor gets the app's answer or one of ours", async () => {
    const arbitrary = fc.record({
      status: fc.integer({ min: 200, max: 599 }),
      isMarked: fc.boolean(),
      headers: fc.array(fc.tuple(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,12}$/), fc.stringMatching(/^[ -~]{0,20}$/)), { maxLength: 6 }),
      body: fc.string({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ status, isMarked, headers, body }) => {
        const kept = headers.filter(
          ([key]) => !/^(content-length|transfer-encoding|connection|keep-alive|upgrade|x-keyhole-app|proxy-connection)$/i.test(key),
        );
        harness.frps.handle = (_req, res) => {
          if (isMarked) res.appendHeader("X-Keyhole-App", "1");
          for (const [key, text] of kept) res.appendHeader(key, text);
          res.statusCode = status;
          res.end(body);
        };
        const { text } = await send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, { deadlineMs: 3000 });
        expect(text.toLowerCase()).not.toContain("x-keyhole-app");
        if (isMarked) expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        else expect(text).toMatch(/^HTTP\/1\.1 (400|417|431|502|504) /);
      }),
      { numRuns: 40 },
    );
  });
});

it("a page of frp is not shown for any method", async () => {
  harness.frps.handle = (_req, res) => asFrps(res);
  const replies = await Promise.all(["GET", "POST", "PUT", "DELETE", "OPTIONS"].map((method) => visit(harness.edge, host, { method })));
  expect(replies.map((reply) => reply.status)).toEqual([502, 502, 502, 502, 502]);
  await eventually("all requests are over", () => harness.edge.stats().held === 0);
});
