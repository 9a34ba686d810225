/**
 * A token service that is away for a moment: while nobody listens, nothing was sent, so a request waits instead of failing.
 */
import { request } from "node:http";
import { afterEach, beforeEach, expect, it } from "vitest";
import { domain, eventually, type Harness, openHarness, portOf, visit } from "./edge-harness.ts";

const host = `api.${domain}`;
let harness: Harness;
let port: number;
const bodies: string[] = [];
beforeEach(async () => {
  harness = await openHarness();
  bodies.length = 0;
  port = portOf(harness.tokenService.server);
  harness.tokenService.handle = (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      bodies.push(Buffer.concat(chunks).toString());
      res.end("token");
    });
  };
  await stopService();
});
afterEach(() => harness[Symbol.asyncDispose]());

async function stopService(): Promise<void> {
  const { server } = harness.tokenService;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
const startService = () => new Promise<void>((resolve) => void harness.tokenService.server.listen(port, "127.0.0.1", resolve));
const isHeld = (count: number) => eventually(`${count} requests wait`, () => harness.edge.stats().held === count);

it("7: a restart of the token service costs no request: each arrives once, with its whole body", async () => {
  const body = "x".repeat(50_000);
  const replies = [
    visit(harness.edge, host, { path: "/health" }),
    visit(harness.edge, host, { method: "POST", body }),
    visit(harness.edge, host, { method: "POST", body, headers: { Expect: "100-continue" } }),
    visit(harness.edge, host, { method: "POST" }),
  ];
  await isHeld(4);
  await startService();
  expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(bodies.toSorted()).toEqual(["", "", body, body]);
  expect(harness.edge.stats().held).toBe(0);
});

it("7: one that stays away is 503 after three seconds, and says when to come back", async () => {
  const start = performance.now();
  const reply = await visit(harness.edge, host, { method: "POST", body: "{}" });
  expect([reply.status, reply.json["code"], reply.headers.get("retry-after")]).toEqual([503, "SERVICE_UNAVAILABLE", "5"]);
  expect(performance.now() - start).toBeGreaterThan(2800);
  expect(performance.now() - start).toBeLessThan(3600);
});

it("a visitor that leaves gives its place back, and one address has fifty of the two hundred", async () => {
  const sent = Array.from({ length: 60 }, () => {
    const each = request({ host: "127.0.0.1", port: harness.edge.visitorsPort, headers: { Host: host }, agent: false });
    return each.on("error", () => {}).end();
  });
  let refused = 0;
  for (const each of sent) each.on("response", ({ statusCode }) => (refused += statusCode === 503 ? 1 : 0));
  await eventually("ten are refused at once", () => refused === 10);
  expect(harness.edge.stats().held).toBe(50);
  for (const each of sent) each.destroy();
  await isHeld(0);
  expect(bodies).toEqual([]);
});

it("a request that may have been delivered is not sent again", async () => {
  let seen = 0;
  harness.tokenService.handle = (req) => {
    seen += 1;
    req.resume();
    req.on("end", () => req.socket.destroy());
  };
  await startService();
  const reply = await visit(harness.edge, host, { method: "POST", body: "{}" });
  expect([reply.status, seen]).toEqual([503, 1]);
});
