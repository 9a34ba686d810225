/**
 * A plain request for a token goes past the framework, anything unusual through it, and nobody must see which. A `?` behind
 * the path says nothing, and is unusual: so everything is asked both ways, and the answers are held against each other.
 */
import { Fault } from "@keyhole/core";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";
import { exchange, json, request, signOrder, startService } from "./token-harness.ts";

const path = "/v1/tunnel/token";
const now = () => new Date(1_800_000_000_000);
const signed = (timestamp = 1_800_000_000) => signOrder(timestamp, privateKeyToAccount(generatePrivateKey()));
const withLength = (headers: readonly string[], body: string) => [...headers, `Content-Length: ${Buffer.byteLength(body)}`];

/** An answer without what differs from one request to the next. */
const comparable = (answer: string) =>
  answer
    .replace(/request-[0-9]+/g, "<id>")
    .replace(/^Date: .*$/m, "Date: <date>")
    .replace(/^RateLimit: .*$/m, (line) => line.replace(/r=[0-9]+;t=[0-9]+/g, "r=<n>;t=<n>"))
    .replace(/frp_[A-Za-z0-9]+_[0-9]+_[0-9a-f]{64}/g, "<token>")
    .replace(/0x[0-9a-fA-F]{40}/g, "<address>");

const rubbish = JSON.stringify({ walletAddress: "0x", timestamp: 1, signature: "0x" });
const cases: readonly (readonly [string, readonly string[], () => Promise<string> | string])[] = [
  ["a good proof", [json], async () => JSON.stringify(await signed())],
  ["a good proof, with a request id", [json, "X-Request-Id: 0123456789abcdef"], async () => JSON.stringify(await signed())],
  ["a good proof, as TOML", [json, "Accept: application/toml"], async () => JSON.stringify(await signed())],
  ["a good proof with two Accepts", [json, "Accept: text/plain", "Accept: application/toml"], async () => JSON.stringify(await signed())],
  ["an old proof", [json], async () => JSON.stringify(await signed(1_700_000_000))],
  [
    "a proof that somebody else signed",
    [json],
    async () => JSON.stringify({ ...(await signed()), walletAddress: (await signed()).walletAddress }),
  ],
  ["a proof and a Bearer", [json, "Authorization: Bearer x"], async () => JSON.stringify(await signed())],
  ["two Bearers", ["Authorization: Bearer x", "Authorization: Bearer y"], () => ""],
  ["two schemes", [json, "Authorization: Web3Signed x", "Authorization: Bearer y"], () => "{}"],
  ["rubbish", [json], () => rubbish],
  ["an unknown field", [json], () => '{"token":1}'],
  ["no object", [json], () => "[]"],
  ["bytes that are no UTF-8", [json], () => "{\u00ff"],
  ["another content type", ["Content-Type: text/plain"], () => rubbish],
  ["two content types", [json, json], () => rubbish],
  ["no content type", [], () => rubbish],
  ["a packed body", [json, "Content-Encoding: gzip"], () => rubbish],
  ["a bad Idempotency-Key", [json, "Idempotency-Key: \u00e9"], () => rubbish],
  ["a request id that is none", [json, "X-Request-Id: a b"], () => rubbish],
  ["an address that nobody believes", [json, "X-Forwarded-For: 203.0.113.9"], () => rubbish],
  ["an expectation", [json, "Expect: 100-continue"], () => rubbish],
];

test.each(cases)("%s gets the same answer past the framework and through it", async (_name, headers, makeBody) => {
  await using service = await startService({ deps: { now } });
  const [past, through] = [await makeBody(), await makeBody()];
  const ask = (target: string, body: string) => exchange(service.port, request(`POST ${target}`, withLength(headers, body), body));
  const answers = [await ask(path, past), await ask(`${path}?`, through)].map(comparable);
  expect(answers[0]).toMatch(/^HTTP\/1\.1 /);
  expect(answers[0]).toBe(answers[1]);
  expect(service.faults).toEqual([]);
});

test.each([
  ["a token that cannot be made", { mint: async () => Promise.reject(new Error("the key is gone")) }],
  [
    "a CA that cannot be read",
    {
      caPem: () => {
        throw new Error("EACCES");
      },
    },
  ],
  [
    "a store that cannot be written",
    {
      verifyProof: () => {
        throw new Fault("STORE_UNAVAILABLE", "the disk is full");
      },
    },
  ],
] as const)("%s is told and logged the same way", async (_name, deps) => {
  await using service = await startService({ deps: { now, ...deps } });
  const ask = async (target: string) => {
    const body = JSON.stringify(await signed());
    return comparable(await exchange(service.port, request(`POST ${target}`, withLength([json], body), body)));
  };
  const [past, through] = [await ask(path), await ask(`${path}?`)];
  expect(past).toMatch(/^HTTP\/1\.1 50[03] /);
  expect(past).toBe(through);
  const [one, other] = service.faults.map((fault) => ({ ...fault, requestId: "", cause: "" }));
  expect(service.faults).toHaveLength(2);
  expect(one).toEqual(other);
});

test.each([path, `${path}?`])("a body that stalls at %s is answered, and ends its connection soon", async (target) => {
  await using service = await startService();
  const answer = await exchange(service.port, `POST ${target} HTTP/1.1\r\nHost: x.localhost\r\n${json}\r\nContent-Length: 100\r\n\r\n{`);
  expect(answer).toContain('"code":"BODY_TIMEOUT"');
});

test.each([path, `${path}?`])("a body that nobody reads at %s does not hold up the next request of its connection", async (target) => {
  await using service = await startService();
  const body = "x".repeat(4000);
  const first = `POST ${target} HTTP/1.1\r\nHost: x.localhost\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n${body}`;
  const answer = await exchange(service.port, first + request("GET /healthz"));
  expect([...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1])).toEqual(["415", "200"]);
});
