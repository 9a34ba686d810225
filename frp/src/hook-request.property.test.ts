import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderHookAnswer } from "./hook-answer.ts";
import { closeProxyFields, loginFields, newProxyFields } from "./hook-fields.ts";
import { parseHookRequest } from "./hook-request.ts";

const ops = ["Login", "NewProxy", "CloseProxy", "Ping", "NewWorkConn", "NewUserConn", "login", "", "__proto__"];
const json = fc.jsonValue({ maxDepth: 4 });
const fieldName = fc.constantFrom(...Object.keys({ ...loginFields, ...newProxyFields, ...closeProxyFields }), "__proto__", "unknown");

/** Messages that are nearly right: real field names with anything in them. */
const nearly = fc.record({
  op: fc.constantFrom(...ops),
  version: fc.oneof(fc.constant("0.1.0"), json),
  content: fc.oneof(
    fc.dictionary(fieldName, json, { noNullPrototype: true }),
    fc.record({ user: fc.record({ user: json, metas: json, run_id: json }, { requiredKeys: [] }) }),
  ),
});

describe("parseHookRequest", () => {
  it("4: every JSON value and every op gets an answer of ours, and never an exception", () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant(null), fc.string(), fc.constantFrom(...ops)), fc.oneof(json, nearly), (op, body) => {
        const parsed = parseHookRequest(op, body);
        expect(["request", "malformed", "op-mismatch", "not-frps"]).toContain(parsed.kind);
        if (parsed.kind === "request" && parsed.request.op !== "CloseProxy") {
          const { raw } = parsed.request.content;
          expect(JSON.parse(renderHookAnswer({ kind: "replace", content: { ...raw, user: "x" } }).toString())).toHaveProperty("reject");
        }
      }),
    );
  });

  it("4: what is parsed has the promised types, however near the message was", () => {
    fc.assert(
      fc.property(nearly, (body) => {
        const parsed = parseHookRequest(body.op, JSON.parse(JSON.stringify(body)));
        if (parsed.kind !== "request") return;
        const { request } = parsed;
        if (request.op === "Login") {
          for (const name of ["privilegeKey", "runId", "user", "clientAddress", "version", "clientSpecType"] as const) {
            expect(typeof request.content[name]).toBe("string");
          }
          expect(Number.isSafeInteger(request.content.timestamp)).toBe(true);
          expect(Number.isInteger(request.content.poolCount)).toBe(true);
          expect(Object.values(request.content.metas).every((value) => typeof value === "string")).toBe(true);
        } else {
          expect(typeof request.content.proxyName).toBe("string");
          expect(typeof request.content.user.runId).toBe("string");
          expect(Object.values(request.content.user.metas).every((value) => typeof value === "string")).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

const login = (content: object) => parseHookRequest("Login", { version: "0.1.0", op: "Login", content });
const newProxy = (content: object) => parseHookRequest("NewProxy", { version: "0.1.0", op: "NewProxy", content });

describe("the messages of frp 0.71.0", () => {
  it("4: a body of null, a list, no op or a content of null is not frps's protocol", () => {
    for (const body of [null, [], "x", 1, {}, { version: "0.1.0", op: 7, content: {} }, { version: "0.1.0", op: "Login", content: null }]) {
      expect(parseHookRequest("Login", body)).toEqual({ kind: "not-frps" });
    }
    expect(parseHookRequest("Ping", { version: "0.1.0", op: "Ping", content: {} })).toEqual({ kind: "not-frps" });
  });

  it("4: two operations in one request are not frps's protocol either, and are told apart", () => {
    for (const [op, inBody] of [
      ["Login", "NewProxy"],
      ["Login", "Ping"],
      ["Ping", "Login"],
      [null, "Login"],
      ["", "Login"],
    ] as const) {
      expect(parseHookRequest(op, { version: "0.1.0", op: inBody, content: {} })).toEqual({ kind: "op-mismatch" });
    }
  });

  it("a Login with nothing in it has empty values: frp leaves out what is empty", () => {
    expect(login({ client_spec: {} })).toMatchObject({
      kind: "request",
      request: { content: { runId: "", user: "", metas: {}, timestamp: 0, poolCount: 0, privilegeKey: "", clientSpecType: "" } },
    });
  });

  it("a Login keeps every field as received, also one that this version does not know", () => {
    const content = { version: "0.71.0", hostname: "vm", timestamp: 1, metas: { token: "t" }, client_spec: {}, future: { a: [1] } };
    const parsed = login(content);
    expect(parsed.kind === "request" && parsed.request.op === "Login" && parsed.request.content.raw).toEqual(content);
  });

  it("a pool_count that is negative or huge is reported as it is", () => {
    for (const count of [-11, 2 ** 62]) expect(login({ pool_count: count })).toMatchObject({ request: { content: { poolCount: count } } });
  });

  it("metas of null are no metas, and a key like __proto__ is a key like any other", () => {
    expect(login({ metas: null })).toMatchObject({ request: { content: { metas: {} } } });
    const parsed = parseHookRequest(
      "Login",
      JSON.parse('{"version":"0.1.0","op":"Login","content":{"metas":{"__proto__":"x","token":"t"}}}'),
    );
    if (parsed.kind !== "request" || parsed.request.op !== "Login") throw new Error("refused");
    expect(Object.keys(parsed.request.content.metas)).toEqual(["__proto__", "token"]);
    expect(parsed.request.content.metas["constructor"]).toBeUndefined();
  });

  it.each([
    ["timestamp", 1.5],
    ["timestamp", 2 ** 53],
    ["timestamp", "1"],
    ["pool_count", 1.5],
    ["pool_count", Number.POSITIVE_INFINITY],
    ["run_id", null],
    ["run_id", "x".repeat(257)],
    ["user", {}],
    ["privilege_key", "x".repeat(8193)],
    ["metas", []],
    ["metas", { token: 1 }],
    ["metas", { token: { nested: "x" } }],
    ["metas", { token: "x".repeat(8193) }],
    ["metas", Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, "v"]))],
    ["client_spec", "ssh"],
    ["client_address", 1],
  ])("4: a Login with a bad %s names the field (%#)", (field, value) => {
    expect(login({ [field]: value })).toEqual({ kind: "malformed", op: "Login", field });
  });

  it("4: an unknown field cannot be a way to a deep recursion", () => {
    const deep = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`);
    expect(login({ future: deep })).toEqual({ kind: "malformed", op: "Login", field: "content" });
  });

  it.each([
    ["custom_domains", "host"],
    ["custom_domains", [1]],
    ["headers", { name: 1 }],
    ["use_compression", "true"],
    ["remote_port", "80"],
    ["proxy_type", 1],
    ["bandwidth_limit", "x".repeat(65)],
    ["annotations", { name: null }],
  ])("4: a NewProxy with a bad %s names the field (%#)", (field, value) => {
    const user = { user: "l", metas: null, run_id: "r" };
    expect(newProxy({ user, [field]: value })).toEqual({ kind: "malformed", op: "NewProxy", field });
  });

  it("what a NewProxy asks for too much of is reported as it is: whoever judges it says what is wrong with it", () => {
    const user = { user: "l", metas: null, run_id: "r" };
    const asked = {
      proxy_name: "x".repeat(9000),
      subdomain: "x".repeat(513),
      locations: Array.from({ length: 10_000 }, () => "/"),
      annotations: { a: "x".repeat(60_000) },
    };
    expect(newProxy({ user, ...asked })).toMatchObject({ kind: "request", request: { content: { raw: asked } } });
  });

  it("4: a NewProxy or CloseProxy without a whole user names what is missing", () => {
    expect(newProxy({ user: null })).toEqual({ kind: "malformed", op: "NewProxy", field: "user" });
    expect(newProxy({})).toEqual({ kind: "malformed", op: "NewProxy", field: "user" });
    expect(newProxy({ user: { user: 1 } })).toEqual({ kind: "malformed", op: "NewProxy", field: "user.user" });
    expect(
      parseHookRequest("CloseProxy", { version: "0.1.0", op: "CloseProxy", content: { user: { user: "l", metas: null, run_id: 7 } } }),
    ).toEqual({ kind: "malformed", op: "CloseProxy", field: "user.run_id" });
  });
});
