import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { isPlainPost } from "./direct-request.ts";

const path = "/v1/tunnel/token";
const plain = { method: "POST", url: path, headers: { host: "tunnel.example:8443", "content-length": "200" } };
const isPlain = (request: object) => isPlainPost(request as IncomingMessage, path, 4096);

test("a POST with a body of a length that may be read is plain", () => {
  expect(isPlain(plain)).toBe(true);
  expect(isPlain({ ...plain, headers: { host: "127.0.0.1", "content-length": "4096" } })).toBe(true);
});

test.each([
  ["another method", { method: "GET" }],
  ["another path", { url: "/v1/tunnel/revoke" }],
  ["a query", { url: `${path}?exclusive=1` }],
  ["a fragment", { url: `${path}#a` }],
  ["a body in chunks", { headers: { host: "a", "transfer-encoding": "chunked" } }],
  ["a body that is too long", { headers: { host: "a", "content-length": "4097" } }],
  ["no Host", { headers: { "content-length": "2" } }],
  ["a Host that is none", { headers: { host: "a b", "content-length": "2" } }],
  ["a Host with somebody's name in it", { headers: { host: "me@a", "content-length": "2" } }],
  ["a port that is none", { headers: { host: "a:70000", "content-length": "2" } }],
])("%s is the framework's", (_name, change) => {
  expect(isPlain({ ...plain, ...change })).toBe(false);
});
