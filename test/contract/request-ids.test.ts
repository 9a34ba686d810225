/** One id a request, of our own making: what a visitor quotes finds the line, at the edge, in the token service and at the hook. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { alice, type HookBench, loginContent, startHookBench } from "../support/hook-bench.ts";
import { asApp, asFrps, domain, type Harness, hostOf, live, offline, openHarness, visit } from "./edge-harness.ts";
import { startService } from "./token-harness.ts";

const host = hostOf(live);
const forged = { "X-Request-Id": "mine-12345678", "x-request-ID": "mine-12345678", X_Request_Id: "mine-12345678" };

describe("at the edge", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await openHarness({ trustedProxies: ["127.0.0.0/8"], appTimeoutSeconds: 60 });
  });
  afterAll(() => harness[Symbol.asyncDispose]());
  beforeEach(() => {
    harness.frps.seen.length = 0;
    harness.frps.handle = (_req, res) => void asApp(res).end();
  });

  it("the app reads the id that its visitor is answered with, another one each time, and never one that came from outside", async () => {
    const answered: (string | null)[] = [];
    for (let at = 0; at < 3; at += 1) answered.push((await visit(harness.edge, host, { headers: forged })).headers.get("x-request-id"));
    const told = harness.frps.seen.map(({ headersDistinct }) => headersDistinct["x-request-id"]);
    expect(told).toEqual(answered.map((id) => [id]));
    expect(new Set(answered).size).toBe(3);
    expect(answered.join()).not.toContain("mine");
    expect(harness.frps.seen.flatMap(({ rawHeaders }) => rawHeaders).join()).not.toContain("mine-12345678");
  });

  it("a problem document, a page and the line of the log quote the id of the answer's header", async () => {
    harness.frps.handle = (_req, res) => asFrps(res, 504);
    const problem = await visit(harness.edge, host, { headers: forged });
    const page = await visit(harness.edge, host, { headers: { Accept: "text/html" } });
    for (const { headers, body, status } of [problem, page]) {
      const id = headers.get("x-request-id") ?? "";
      expect(status).toBe(504);
      expect(id).toMatch(/^request-\d+$/);
      expect(body.toString()).toContain(id);
      expect(harness.logged.map(({ fields }) => fields)).toContainEqual({
        event: "edge.failed",
        code: "APP_TIMEOUT",
        label: live,
        requestId: id,
      });
    }
    expect(problem.json).toMatchObject({ requestId: problem.headers.get("x-request-id"), code: "APP_TIMEOUT" });
  });

  it("an address that is only offline, or a name that is none, is no line in the log, however often it is asked for", async () => {
    const lines = harness.logged.length;
    for (const name of [hostOf(offline), `nobody.${domain}`, "203.0.113.9"]) {
      const { headers, json } = await visit(harness.edge, name);
      expect(json["requestId"]).toBe(headers.get("x-request-id"));
    }
    expect(harness.logged.length).toBe(lines);
  });
});

it("the token service takes the edge's id for its log, its problem document and its answer, whatever the visitor sent", async () => {
  await using service = await startService();
  const tokenService = { host: "127.0.0.1", port: service.port, edgePassword: "the edge's own" };
  await using harness = await openHarness({ tokenService, newRequestId: () => "of-the-edge-00000001" });
  const answer = await visit(harness.edge, domain, {
    path: "/v1/tunnel/token",
    method: "POST",
    headers: { ...forged, "Content-Type": "application/json" },
    body: "{}",
  });
  expect(answer.status).toBe(400);
  expect(answer.json["requestId"]).toBe("of-the-edge-00000001");
  expect(answer.headers.get("x-request-id")).toBe("of-the-edge-00000001");
  expect(service.logged.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ requestId: "of-the-edge-00000001", message: "request refused" }),
  );
});

describe("at the hook", () => {
  let bench: HookBench;
  beforeAll(async () => {
    bench = await startHookBench();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  /** The lines about one refused login that came with this id of frp's. */
  async function refuse(frpRequestId: string | undefined): Promise<readonly Record<string, unknown>[]> {
    const from = bench.log.lines.length;
    const content = loginContent({ user: alice });
    await bench.raw({
      headers: { "content-type": "application/json", ...(frpRequestId === undefined ? {} : { "x-frp-reqid": frpRequestId }) },
      body: JSON.stringify({ version: "0.1.0", op: "Login", content }),
    });
    return bench.log.lines.slice(from).map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it("every line about a call has frp's id of it and one of ours, which no two calls share", async () => {
    const lines = [...(await refuse("0123456789abcdef")), ...(await refuse("0123456789abcdef"))];
    expect(lines).toEqual([
      expect.objectContaining({
        event: "login.refused",
        frpRequestId: "0123456789abcdef",
        requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
      }),
      expect.objectContaining({
        event: "login.refused",
        frpRequestId: "0123456789abcdef",
        requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
      }),
    ]);
    expect(lines[0]?.["requestId"]).not.toBe(lines[1]?.["requestId"]);
  });

  it.each([
    ["none at all", undefined],
    ["too long", "a".repeat(65)],
    ["with control characters", "a\tb"],
    ["no id but a text", '","event":"login.admitted'],
    ["empty", ""],
  ])("an id of frp's that is %s is not in the log", async (_what, frpRequestId) => {
    const lines = await refuse(frpRequestId);
    expect(lines).toEqual([expect.objectContaining({ event: "login.refused", frpRequestId: "none" })]);
    if (frpRequestId !== undefined && frpRequestId !== "") expect(JSON.stringify(lines)).not.toContain(JSON.stringify(frpRequestId));
  });
});
