/** The admin API over a real plugin and real stores: what it tells, what becomes of orders, and who may call its port. */
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { type AdminApp, adminEndpoints, createAdminApp, startAdminPort } from "@keyhole/cli";
import { Fault, refusalCodes } from "@keyhole/core";
import { openEventReader } from "@keyhole/store";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admitted, alice, bob, codeOf, type HookBench, startHookBench } from "../support/hook-bench.ts";

const address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const key = "k".repeat(32);
let bench: HookBench;
let app: AdminApp;
let stack = new AsyncDisposableStack();
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  bench = stack.use(await startHookBench());
  const openEvents = (writer: "tokens" | "sessions") => stack.use(openEventReader({ path: join(bench.dir, `${writer}.db`), writer }));
  app = createAdminApp({
    plugin: bench.plugin,
    identities: {
      sessions: bench.sessions,
      tokens: bench.tokens,
      events: { tokens: openEvents("tokens"), sessions: openEvents("sessions") },
      tunnelUrl: (label) => `https://${label}.example.org`,
      now: () => bench.now,
    },
    readPart: async () => ({
      part: "plugin",
      pid: 1,
      version: "0",
      startedAt: bench.now.toISOString(),
      summary: "",
      facts: { sessions: 1 },
      problems: [],
    }),
    now: () => bench.now,
    newRequestId: () => "request-1",
    log: silent,
  });
});
afterEach(() => stack.disposeAsync());

type Answer = { readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers };
/** Asks the app, and holds its answer against what the document says of it. */
async function ask(method: string, target: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const init = { method, headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers } };
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const response = await app.fetch(new Request(`http://keyhole${target}`, { ...init, ...(text === undefined ? {} : { body: text }) }), {
    orderer: "ann",
  });
  const json = (await response.json()) as Record<string, unknown>;
  const path = target.split("?")[0] ?? "";
  const endpoint = adminEndpoints.find(
    ({ route }) => route.method === method.toLowerCase() && new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path),
  );
  const told = endpoint?.route.responses[response.status];
  if (endpoint !== undefined) expect([target, response.status, told]).toEqual([target, response.status, expect.anything()]);
  if (told !== undefined && response.status < 300) {
    const [content] = Object.values((told as { content: Record<string, { schema: { parse(value: unknown): unknown } }> }).content);
    content?.schema.parse(json);
  }
  if (response.status >= 400) {
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(refusalCodes).toContain(json["code"]);
  }
  return { status: response.status, body: json, headers: response.headers };
}
const codeAt = async (...asked: Parameters<typeof ask>): Promise<string> => {
  const { status, body } = await ask(...asked);
  return `${status} ${body["code"] ?? ""}`.trim();
};
async function connectAs(label: typeof alice, clientAddress: string): Promise<string> {
  const client = admitted(await bench.login(label, await bench.buyToken(label), "", clientAddress));
  expect(codeOf(await bench.newProxy(client))).toBe("admitted");
  return client.ticket;
}
const lastEvent = async (name: string) => (await bench.readEvents()).findLast(([event]) => event === name)?.[1];
const away = (): Promise<never> => Promise.reject(new Fault("EDGE_UNREACHABLE", "the edge did not answer"));

describe("sessions", () => {
  it("9: are told a page at a time, the newest first, each once, and with nothing secret", async () => {
    const tickets = [await connectAs(alice, "127.0.0.1:40001"), await connectAs(bob, "127.0.0.1:40002")];
    const first = await ask("GET", "/v1/sessions?limit=1");
    expect([first.body["total"], first.body["next"]]).toEqual([2, expect.any(String)]);
    const second = await ask("GET", `/v1/sessions?limit=1&cursor=${first.body["next"]}`);
    expect(second.body["next"]).toBeNull();
    const all = [first, second].flatMap(({ body }) => body["sessions"] as { label: string; source: string; state: string; id: string }[]);
    expect(all.map(({ label }) => label).sort()).toEqual([alice, bob].sort());
    expect(all.find(({ label }) => label === alice)).toMatchObject({ source: "127.0.0.1:40001", address, state: "routable" });
    for (const ticket of tickets) expect(JSON.stringify(all)).not.toContain(ticket);
    const one = all.find(({ label }) => label === alice);
    expect((await ask("GET", `/v1/sessions/${one?.id}`)).body).toEqual(one);
    expect((await ask("GET", `/v1/sessions?address=${address}`)).body).toMatchObject({ total: 1, sessions: [one] });
  });

  it("are kicked by their id; one that is not there is 404", async () => {
    await connectAs(alice, "127.0.0.1:40001");
    const [session] = bench.plugin.sessions();
    expect((await ask("POST", `/v1/sessions/${session?.id}/kick`)).body).toMatchObject({
      order: "kick",
      subject: address,
      enforced: true,
      ended: 1,
    });
    expect(await lastEvent("session.kicked")).toEqual({ sessions: 1, by: "ann" });
    for (const [method, target] of [
      ["POST", `/v1/sessions/${session?.id}/kick`],
      ["GET", `/v1/sessions/${session?.id}`],
      ["POST", `/v1/identities/${address}/kick`],
    ] as const)
      expect(await codeAt(method, target)).toBe("404 SESSION_NOT_FOUND");
  });
});

describe("an order", () => {
  it("12: is 200 when the edge refuses new requests, 202 when nobody can say so, and not waited for longer than asked", async () => {
    await connectAs(alice, "127.0.0.1:40001");
    bench.onDelete = away;
    expect(await ask("POST", `/v1/identities/${alice}/revoke`)).toMatchObject({ status: 202, body: { enforced: false, ended: 1 } });
    bench.onDelete = async () => {};
    bench.onBlock = () => new Promise(() => {});
    const startedAt = performance.now();
    expect(await ask("POST", "/v1/blocks?waitMs=50", { subject: address })).toMatchObject({ status: 202, body: { enforced: false } });
    expect(performance.now() - startedAt).toBeLessThan(800);
    bench.onBlock = async () => {};
    expect(await ask("POST", `/v1/identities/${address}/revoke`)).toMatchObject({ status: 200, body: { enforced: true, ended: 0 } });
    expect(await ask("POST", "/v1/blocks", { subject: address })).toMatchObject({ status: 200, body: { enforced: true } });
  });

  it("6: that could not be recorded is 503 with Retry-After, and nothing was done", async () => {
    await connectAs(alice, "127.0.0.1:40001");
    bench.sessionsFault = new Fault("STORE_UNAVAILABLE", "disk full");
    for (const [method, target, body] of [
      ["POST", `/v1/identities/${alice}/revoke`, undefined],
      ["POST", "/v1/blocks", { subject: alice }],
    ] as const) {
      const answer = await ask(method, target, body);
      expect([answer.status, answer.body["code"], answer.headers.get("retry-after")]).toEqual([503, "STORE_UNAVAILABLE", "5"]);
    }
    expect(bench.plugin.sessions()).toHaveLength(1);
  });

  it("may be repeated: a block is replaced and its time begins anew, and what is lifted already is 404", async () => {
    for (const reason of ["first", "second"]) await ask("POST", "/v1/blocks", { subject: "203.0.113.9/24", forSeconds: 60, reason });
    const endsAt = new Date(bench.now.getTime() + 60_000).toISOString();
    const { body } = await ask("GET", "/v1/blocks");
    expect(body["blocks"]).toEqual([{ subject: "203.0.113.0/24", reason: "second", createdAt: bench.now.toISOString(), endsAt }]);
    expect(await codeAt("DELETE", "/v1/blocks/203.0.113.0%2F24")).toBe("200");
    expect(await codeAt("DELETE", "/v1/blocks?subject=203.0.113.0/24")).toBe("404 BLOCK_NOT_FOUND");
    await ask("POST", "/v1/blocks", { subject: address });
    expect(await codeAt("DELETE", `/v1/blocks/${alice}`)).toBe("200");
  });

  it.each([
    ["no JSON at all", "{", "400 BODY_INVALID_JSON"],
    ["a field twice", `{"subject":"${address}","subject":"10.0.0.0/8"}`, "400 BODY_DUPLICATE_KEY"],
    ["a list", "[]", "400 BODY_NOT_OBJECT"],
    ["a field that there is not", { subject: address, until: 1 }, "400 UNKNOWN_FIELD"],
    ["no subject", {}, "400 FIELD_MALFORMED"],
    ["a subject of no form", { subject: "everybody" }, "400 SUBJECT_MALFORMED"],
    ["the whole internet", { subject: "0.0.0.0/0" }, "400 SUBJECT_MALFORMED"],
    ["a mistyped address", { subject: address.replace("aA", "AA") }, "400 WALLET_CHECKSUM"],
    ["a time without end", { subject: address, forSeconds: 1e12 }, "400 FIELD_MALFORMED"],
    ["no time at all", { subject: address, forSeconds: 0 }, "400 FIELD_MALFORMED"],
    ["words for a terminal", { subject: address, reason: "\u001b[2J" }, "400 FIELD_MALFORMED"],
    ["too many words", { subject: address, reason: "x".repeat(201) }, "400 FIELD_MALFORMED"],
    ["more than fits", `{"subject":"${"x".repeat(5000)}"}`, "413 BODY_TOO_LARGE"],
    ["a prototype", '{"__proto__":{"subject":"10.0.0.0/8"}}', "400 "],
  ])("with %s is refused, and blocks nobody", async (_what, body, told) => {
    expect(await codeAt("POST", "/v1/blocks", body)).toContain(told);
    expect(bench.plugin.blocks()).toEqual([]);
  });

  it("is refused in another form than JSON, with a query that there is not, and with another method", async () => {
    expect(await codeAt("POST", "/v1/blocks", "{}", { "content-type": "text/plain" })).toBe("415 CONTENT_TYPE_UNSUPPORTED");
    expect(await codeAt("POST", "/v1/blocks", "{}", { "content-encoding": "gzip" })).toBe("415 CONTENT_ENCODING_UNSUPPORTED");
    expect(await codeAt("POST", `/v1/identities/${alice}/revoke?waitMs=901`)).toBe("400 QUERY_MALFORMED");
    expect(await codeAt("POST", `/v1/identities/${alice}/revoke?wait=1`)).toBe("400 QUERY_MALFORMED");
    expect(await codeAt("GET", "/v1/sessions?limit=1&limit=2")).toBe("400 QUERY_MALFORMED");
    expect(await codeAt("GET", "/v1/sessions?cursor=x")).toBe("400 QUERY_MALFORMED");
    const wrong = await ask("PUT", "/v1/blocks", {});
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD, POST, DELETE"]);
    expect(await codeAt("GET", "/v1/everything")).toBe("404 NOT_FOUND");
    expect(await codeAt("GET", "/v1/identities/0x00")).toBe("400 WALLET_FORMAT");
  });
});

it("whatever is asked, the answer is of the catalogue, and never that we failed", async () => {
  const prefix = fc.constantFrom("/v1/", "/v1/sessions/", "/v1/sessions?", "/v1/identities/", "/v1/blocks/", "/v1/blocks?", "/");
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom(alice, address, "203.0.113.0%2F24", "%", "%zz", "%00", ".."),
  );
  const body = fc.option(fc.oneof(fc.string(), fc.json(), fc.record({ subject: text, forSeconds: fc.anything(), reason: text })), {
    nil: undefined,
  });
  const method = fc.constantFrom("GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS");
  const property = fc.asyncProperty(
    method,
    prefix,
    fc.tuple(text, fc.constantFrom("", "/kick", "/revoke", "?waitMs=0")),
    body,
    async (verb, start, rest, sent) => {
      const url = `http://keyhole${start}${rest.join("")}`;
      if (!URL.canParse(url)) return;
      const mayCarry = verb !== "GET" && verb !== "HEAD" && sent !== undefined;
      const request = new Request(url, {
        method: verb,
        headers: { "content-type": "application/json" },
        ...(mayCarry ? { body: typeof sent === "string" ? sent : JSON.stringify(sent) } : {}),
      });
      const answer = await app.fetch(request, { orderer: "ann" });
      expect([url, answer.status]).toEqual([url, expect.toSatisfy((status: number) => status >= 200 && status < 500)]);
      if (answer.status >= 400 && verb !== "HEAD") expect(refusalCodes).toContain(((await answer.json()) as { code: string }).code);
    },
  );
  await fc.assert(property, { numRuns: 500 });
});

describe("what is known of a wallet", () => {
  it("is whoever serves it, what was ordered and by whom, what it bought and what it did, the newest first", async () => {
    await connectAs(alice, "127.0.0.1:40001");
    bench.now = new Date(bench.now.getTime() + 1000);
    await ask("POST", "/v1/blocks", { subject: alice, reason: "phishing" });
    await ask("POST", `/v1/identities/${alice}/revoke`);
    const { body } = await ask("GET", `/v1/identities/${address}`);
    expect(body).toMatchObject({
      address,
      label: alice,
      url: `https://${alice}.example.org`,
      sessions: [],
      block: { reason: "phishing", endsAt: null, by: "ann" },
      revocation: { at: bench.now.toISOString(), by: "ann" },
      tokens: [{ kind: "hmac", state: "revoked" }],
      history: [{ end: "evicted", source: "127.0.0.1:40001" }],
    });
    const events = (body["events"] as { event: string; chain: string; sequence: number }[]).map(({ chain, event }) => `${chain} ${event}`);
    expect(events).toEqual(expect.arrayContaining(["sessions operator.revoked", "sessions block.set", "sessions session.admitted"]));
    expect(events.indexOf("sessions operator.revoked")).toBeLessThan(events.indexOf("sessions session.admitted"));
  });

  it("is nothing of one that nobody has ever used", async () => {
    expect((await ask("GET", `/v1/identities/${bob}`)).body).toMatchObject({
      sessions: [],
      block: null,
      revocation: null,
      ownerRevocation: null,
      tokens: [],
      lastSeen: null,
      history: [],
      events: [],
    });
  });
});

describe("the document", () => {
  it("is OpenAPI 3.1 with every route in it, no reference that leads nowhere, and an example of each refusal", async () => {
    const { body } = await ask("GET", "/v1/openapi.json");
    expect((await ask("GET", "/openapi.json")).body).toEqual(body);
    const document = body as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
      components: { schemas: object };
    };
    expect(document.openapi).toBe("3.1.0");
    for (const { route } of adminEndpoints) expect(document.paths[route.path]?.[route.method]?.operationId).toBe(route.operationId);
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations).toHaveLength(adminEndpoints.length);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g))
      expect(document.components.schemas).toHaveProperty(name ?? "");
    for (const { responses } of operations) expect(Object.keys(responses)).toEqual(expect.arrayContaining(["401", "403", "500"]));
  });
});

describe("the port", () => {
  const bearer = { authorization: `Bearer ${key}` };
  let port = 0;
  beforeEach(async () => {
    const opened = await startAdminPort({
      listen: { host: "127.0.0.1", port: 0 },
      key,
      app,
      now: () => bench.now,
      newRequestId: () => "request-1",
      log: silent,
    });
    port = Number(new URL(stack.use(opened).url).port);
  });
  const call = (headers: Record<string, string>, target = "/v1/blocks"): Promise<{ code: string; headers: Record<string, unknown> }> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port, path: target, headers: { host: `127.0.0.1:${port}`, ...headers } }, (response) => {
        let text = "";
        response.on("data", (chunk) => (text += String(chunk)));
        response.on("end", () => {
          const { code = "" } = JSON.parse(text) as { code?: string };
          resolve({ code: `${response.statusCode} ${code}`.trim(), headers: response.headers });
        });
      });
      sent.on("error", reject);
      sent.end();
    });
  const codeWith = async (headers: Record<string, string>, target?: string): Promise<string> => (await call(headers, target)).code;

  it("lets in who shows the key, and names it in the events", async () => {
    expect(await codeWith(bearer)).toBe("200");
    for (const host of ["localhost", "[::1]:9500", "LOCALHOST:1"]) expect(await codeWith({ ...bearer, host })).toBe("200");
    await connectAs(alice, "127.0.0.1:40001");
    await fetch(`http://127.0.0.1:${port}/v1/identities/${alice}/kick`, { method: "POST", headers: bearer }).then((answer) =>
      answer.text(),
    );
    expect(await lastEvent("session.kicked")).toEqual({ sessions: 1, by: "key" });
  });

  it.each([
    ["no key", {}, "401 ADMIN_UNAUTHORIZED"],
    ["a wrong key", { authorization: `Bearer ${"k".repeat(31)}j` }, "401 ADMIN_UNAUTHORIZED"],
    ["the key in another scheme", { authorization: `Basic ${key}` }, "401 ADMIN_UNAUTHORIZED"],
    ["an Origin", { ...bearer, origin: "http://127.0.0.1" }, "403 ADMIN_FROM_BROWSER"],
    ["an Origin of null", { ...bearer, origin: "null" }, "403 ADMIN_FROM_BROWSER"],
    ["what a browser's image sends", { ...bearer, "sec-fetch-site": "cross-site" }, "403 ADMIN_FROM_BROWSER"],
    ["a name that somebody points here", { ...bearer, host: "evil.example" }, "421 HOST_NOT_SERVED"],
    ["a name that begins like ours", { ...bearer, host: "localhost.evil.example" }, "421 HOST_NOT_SERVED"],
    ["a name that ends like ours", { ...bearer, host: "evil.localhost" }, "421 HOST_NOT_SERVED"],
  ])("lets nobody in with %s, whatever is asked", async (_what, headers, told) => {
    const answer = await call(headers);
    expect(answer.code).toBe(told);
    expect(answer.headers["www-authenticate"] !== undefined).toBe(told.startsWith("401"));
    expect(await codeWith(headers, "/v1/openapi.json")).toBe(told);
    expect(JSON.stringify(answer)).not.toContain(key);
  });

  it("looks at no more keys after ten wrong ones in a minute; who shows none has tried none", async () => {
    for (let tries = 0; tries < 20; tries += 1) expect(await codeWith({})).toBe("401 ADMIN_UNAUTHORIZED");
    for (let tries = 0; tries < 10; tries += 1) expect(await codeWith({ authorization: `Bearer ${tries}` })).toBe("401 ADMIN_UNAUTHORIZED");
    const limited = await call(bearer);
    expect([limited.code, limited.headers["retry-after"]]).toEqual(["429 RATE_LIMITED", "6"]);
    bench.now = new Date(bench.now.getTime() + 6000);
    expect(await codeWith(bearer)).toBe("200");
  });

  it.each([
    ["two hosts", `GET /v1/blocks HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Bearer ${key}\r\n\r\n`],
    ["another target than a path", `GET http://evil.example/v1/blocks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`],
    ["two keys", `GET /v1/blocks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nAuthorization: Bearer x\r\n\r\n`],
    ["no HTTP", "\0\0\0\0\r\n\r\n"],
  ])("refuses %s as malformed", async (_what, bytes) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.write(bytes);
    await new Promise((resolve) => socket.on("close", resolve));
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });
});
