/**
 * The token service's real listener against hostile bytes: malformed HTTP, slow and oversized bodies, odd paths and
 * headers. What is held up: no crash, no hang, no 500, and every refusal is a problem document with a code of the
 * catalogue (invariant 13).
 */
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exchange, json, judge, post, request, type Service, signOrder, startService, wallet } from "./token-harness.ts";

let service: Service;
beforeAll(async () => {
  service = await startService({ deadlines: { headersMs: 300, requestMs: 600 } });
});
afterAll(async () => {
  await service.stop();
  expect(service.faults).toEqual([]);
});

const chunked = (size: number) => `${size.toString(16)}\r\n${"[".repeat(size)}\r\n0\r\n\r\n`;

it("a request that expects 100-continue behind one that is not answered yet gets its answer whole", async () => {
  const body = JSON.stringify(await signOrder());
  const first = `POST /v1/tunnel/token HTTP/1.1\r\nHost: x\r\n${json}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const second = request("POST /v1/tunnel/token", [json, "Expect: 100-continue", "Content-Length: 2"], "{}");
  const answer = await exchange(service.port, first + second);
  const heads = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]);
  expect(heads).toEqual(["200", "400"]);
  expect(answer).toMatch(/\r\n\r\n\{[^\r\n]*"code":"WALLET_REQUIRED"[^\r\n]*\}$/);
});

describe("hostile HTTP at the token service", () => {
  it.each([
    ["rubbish", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "REQUEST_MALFORMED"],
    ["an unknown version", "GET / HTTP/9.9\r\n\r\n", 400, "REQUEST_MALFORMED"],
    [
      "Content-Length and Transfer-Encoding",
      post([json, "Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
      400,
      "REQUEST_MALFORMED",
    ],
    ["two Content-Lengths", post([json, "Content-Length: 2", "Content-Length: 3"], "{}"), 400, "REQUEST_MALFORMED"],
    ["a folded header", request("GET /healthz", ["X-A: b", " c"]), 400, "REQUEST_MALFORMED"],
    ["a NUL in a header", request("GET /healthz", ["X-A: \0"]), 400, "REQUEST_MALFORMED"],
    ["17 KB of headers", request("GET /healthz", [`X-A: ${"a".repeat(17_000)}`]), 431, "HEADERS_TOO_LARGE"],
    ["a chunk that is none", post([json, "Transfer-Encoding: chunked"], "zz\r\n{}\r\n0\r\n\r\n"), 400, "REQUEST_MALFORMED"],
    ["no Host", "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "REQUEST_MALFORMED"],
    ["two Hosts", request("GET /healthz", ["Host: y.localhost"]), 400, "REQUEST_MALFORMED"],
    ["a Host that is none", "GET /healthz HTTP/1.1\r\nHost: a b/c?d\r\nConnection: close\r\n\r\n", 400, "REQUEST_MALFORMED"],
    ["an address too long as Host", "GET /healthz?a HTTP/1.1\r\nHost: 1.2.3.4.5\r\nConnection: close\r\n\r\n", 200, undefined],
    ["HTTP/1.0 without Host", "GET /healthz HTTP/1.0\r\n\r\n", 200, undefined],
    ["absolute form", request("GET http://x.localhost/healthz"), 400, "REQUEST_MALFORMED"],
    ["asterisk form", request("OPTIONS *"), 400, "REQUEST_MALFORMED"],
    ["CONNECT", request("CONNECT x.localhost:443"), 400, "REQUEST_MALFORMED"],
    ["TRACE", request("TRACE /healthz"), 405, "METHOD_NOT_ALLOWED"],
    ["dot segments", request("POST /v1/tunnel/x/../token", [json]), 400, "REQUEST_MALFORMED"],
    ["encoded dot segments", request("POST /v1/tunnel/x/%2E%2e/token", [json]), 400, "REQUEST_MALFORMED"],
    ["a backslash", request("POST /v1\\tunnel\\token", [json]), 400, "REQUEST_MALFORMED"],
    ["another spelling", request("POST /v1/tunnel/%74oken", [json]), 404, "NOT_FOUND"],
    ["a status path of dots", request("GET /v1/tunnel/status/%2e%2e%2f"), 404, "NOT_FOUND"],
    ["an expectation nobody knows", request("GET /healthz", ["Expect: miracles"]), 200, undefined],
    ["an upgrade nobody asked for", request("GET /healthz", ["Upgrade: websocket"]), 200, undefined],
    ["an empty body", post([json, "Content-Length: 0"]), 400, "BODY_INVALID_JSON"],
    ["a length of 1 GB", post([json, "Content-Length: 1000000000"], "{"), 413, "BODY_TOO_LARGE"],
    ["4097 bytes in one chunk", post([json, "Transfer-Encoding: chunked"], chunked(4097)), 413, "BODY_TOO_LARGE"],
    ["100 000 nested lists", post([json, "Transfer-Encoding: chunked"], chunked(100_000)), 413, "BODY_TOO_LARGE"],
    ["4096 nested lists", post([json, "Content-Length: 4096"], "[".repeat(4096)), 400, "BODY_INVALID_JSON"],
    ["a packed body", post([json, "Content-Encoding: gzip", "Content-Length: 2"], "{}"), 415, "CONTENT_ENCODING_UNSUPPORTED"],
    ["text/plain", post(["Content-Type: text/plain", "Content-Length: 2"], "{}"), 415, "CONTENT_TYPE_UNSUPPORTED"],
    ["two content types", post([json, "Content-Type: text/plain", "Content-Length: 2"], "{}"), 415, "CONTENT_TYPE_UNSUPPORTED"],
    ["a body that does not come", post([json, "Content-Length: 2"], "{"), 408, "BODY_TIMEOUT"],
    ["headers that do not end", "GET /healthz HTTP/1.1\r\nHost: x\r\n", 408, "REQUEST_TIMEOUT"],
  ])("%s", async (_, bytes, status, code) => {
    expect(judge(await exchange(service.port, Buffer.from(bytes, "latin1")))).toMatchObject({ status, code });
  });

  it("an answer that was earned comes before the end that rubbish behind it brings", async () => {
    // Another test may have bought a token in this very second, and a proof is good once.
    const body = JSON.stringify(await signOrder(Math.floor(Date.now() / 1000) - 100));
    const good = `POST /v1/tunnel/token HTTP/1.1\r\nHost: x\r\n${json}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const text = await exchange(service.port, `${good}\x00\x01 rubbish\r\n\r\n`);
    expect(judge(text).status).toBe(200);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it("a caller that goes away in the middle of its body costs nothing and breaks nothing", async () => {
    await exchange(service.port, post([json, "Content-Length: 100"], '{"walletAddress":'), true);
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  });
});

describe("anything at all at the token service", () => {
  const send = async (bytes: Buffer | string) => {
    const verdict = judge(await exchange(service.port, bytes));
    expect(verdict.status).toBeLessThan(500);
    return verdict;
  };
  const framed = (body: Buffer) => Buffer.concat([Buffer.from(post([json, `Content-Length: ${body.length}`])), body]);
  const field = fc.oneof(fc.jsonValue(), fc.constantFrom(wallet.address, Math.floor(Date.now() / 1000), `0x${"1".repeat(130)}`));

  it("13: every JSON body gets its own 4xx", async () => {
    const order = fc.record({ walletAddress: field, timestamp: field, signature: field }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.jsonValue(), order), async (body) => {
        expect((await send(framed(Buffer.from(JSON.stringify(body))))).status).toBe(400);
      }),
      { numRuns: 150 },
    );
  });

  it("13: every run of bytes as a body gets its own 4xx", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
        expect((await send(framed(Buffer.from(body)))).status).toBe(400);
      }),
      { numRuns: 100 },
    );
  });

  it("13: every path and query gets an answer", async () => {
    const target = fc.string({ unit: fc.integer({ min: 0x21, max: 0xff }).map((byte) => String.fromCharCode(byte)), maxLength: 40 });
    const prefix = fc.constantFrom("/", "/v1/tunnel/status/", "/v1/tunnel/token", "/v1/tunnel/token?", "/healthz", "");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("GET", "POST", "OPTIONS", "PUT"), prefix, target, async (method, start, rest) => {
        await send(Buffer.from(request(`${method} ${start}${rest}`, ["Content-Length: 0"]), "latin1"));
      }),
      { numRuns: 200 },
    );
  });

  it("13: every header gets an answer", async () => {
    const name = fc.constantFrom(
      "Accept",
      "Content-Type",
      "Content-Length",
      "Transfer-Encoding",
      "Expect",
      "X-Request-Id",
      "Authorization",
      "Idempotency-Key",
      "X-Keyhole-Edge",
      "X-Forwarded-For",
      "Upgrade",
      "Host",
      "Origin",
      "X",
    );
    const value = fc.oneof(
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 60 }),
      fc.constantFrom(
        "application/json",
        "Bearer a.b.c",
        "Bearer",
        "the edge's own",
        "::1, 10.0.0.1",
        "application/toml;q=0.5,*/*",
        "0",
        "2",
        "chunked",
        "100-continue",
        "__proto__",
      ),
    );
    const headers = fc.array(fc.tuple(name, value), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(headers, async (pairs) => {
        const text = await exchange(service.port, Buffer.from(post(pairs.map(([key, text]) => `${key}: ${text}`)), "latin1"));
        const verdict = judge(text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, ""));
        expect(verdict.status).toBeLessThan(500);
      }),
      { numRuns: 120 },
    );
  });

  it("no run of bytes crashes or hangs the listener", async () => {
    const part = fc.constantFrom(
      "GET ",
      "POST ",
      "/ ",
      "HTTP/1.1\r\n",
      "\r\n",
      "Host: x\r\n",
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "\0",
    );
    const bytes = fc.array(
      fc.oneof(
        part.map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 20 }).map((raw) => Buffer.from(raw)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (parts) => {
        await exchange(service.port, Buffer.concat(parts), true);
      }),
      { numRuns: 200 },
    );
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  });
});

describe("the life of the listener", () => {
  it("a busy port is a fault that names it", async () => {
    await expect(startService({ port: service.port })).rejects.toMatchObject({
      code: "PORT_BUSY",
      message: expect.stringContaining(`127.0.0.1:${service.port}`),
    });
  });

  it("stop closes idle connections, lets what is in flight finish, and is one for all callers", async () => {
    const release = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const own = await startService({
      deps: {
        readiness: async () => {
          asked.resolve();
          await release.promise;
          return {};
        },
      },
    });
    await (await fetch(`${own.url}/healthz`)).text();
    const answer = fetch(`${own.url}/readyz`);
    await asked.promise;
    const stopped = Promise.all([own.stop(), own.stop()]);
    release.resolve();
    expect((await answer).status).toBe(200);
    await stopped;
    await expect(fetch(`${own.url}/healthz`)).rejects.toThrow();
  });

  it("stop does not wait longer than it says for an answer that does not come", async () => {
    const asked = Promise.withResolvers<void>();
    const readiness = () => {
      asked.resolve();
      return new Promise<never>(() => {});
    };
    const own = await startService({ deps: { readiness }, deadlines: { stopMs: 50 } });
    const answer = fetch(`${own.url}/readyz`).catch(() => "cut");
    await asked.promise;
    await own.stop();
    expect(await answer).toBe("cut");
  });
});

describe("limits at the listener", () => {
  const few = { requestsPerMinute: 2, tokensPerMinute: 10, failedProofsPerMinute: 20, inFlight: 1 };
  const empty = (headers: readonly string[] = []) => post([json, "Content-Length: 2", ...headers], "[]");

  it("count by the peer, who cannot say that it is somebody else", async () => {
    await using own = await startService({ settings: { limits: few } });
    const statuses = [];
    for (const last of [1, 2, 3]) statuses.push(judge(await exchange(own.port, empty([`X-Forwarded-For: 10.${last}.0.1`]))).status);
    expect(statuses).toEqual([400, 400, 429]);
  });

  it("count by whom our own proxies name", async () => {
    await using own = await startService({ settings: { limits: few, trustedProxies: ["127.0.0.0/8"] } });
    const statuses = [];
    for (const address of ["10.1.0.1", "10.1.0.1", "10.1.0.1", "10.2.0.1"]) {
      statuses.push(judge(await exchange(own.port, empty([`X-Forwarded-For: 6.6.6.6, ${address}, 127.0.0.9`]))).status);
    }
    expect(statuses).toEqual([400, 400, 429, 400]);
  });

  it("a body that comes in drops takes nobody's place", async () => {
    await using own = await startService({ settings: { limits: few, bodyTimeoutMs: 5000 } });
    const slow = connect(own.port, "127.0.0.1");
    slow.on("error", () => {});
    slow.write(`POST /v1/tunnel/token HTTP/1.1\r\nHost: x\r\n${json}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n`);
    // The listener says that it waits for the body: from here on the request is being read.
    await new Promise((resolve) => slow.once("data", resolve));
    const body = JSON.stringify(await signOrder());
    expect(judge(await exchange(own.port, post([json, `Content-Length: ${body.length}`], body))).status).toBe(200);
    slow.destroy();
  });
});
