/**
 * A fresh edge: with the former one every client lost its connection and is on its way back. Visitors wait for them, at
 * most three seconds, and only where there is something to wait for.
 */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeEdge } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asApp, asFrps, eventually, type Harness, hostOf, labelOf, live, openHarness, visit } from "./edge-harness.ts";

const host = hostOf(live);
const other = labelOf("b");
const fileTime = new Date("2026-01-01T00:00:00.000Z");
const back = { label: live, since: new Date("2026-01-01T00:00:05.000Z") };

let harness: Harness;
let handle: Harness["frps"]["handle"];
beforeEach(async () => {
  harness = await openHarness();
  handle = harness.frps.handle;
  // No route: its client is not back yet.
  harness.frps.handle = (_req, res) => asFrps(res);
});
afterEach(() => harness[Symbol.asyncDispose]());

const fresh = (returnMs = 3000): Promise<NodeEdge> => harness.again({ returnMs });
const holds = (edge: NodeEdge, count: number) => eventually(`${count} are held`, () => edge.stats().held === count);
async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  const value = await work;
  return { value, ms: performance.now() - start };
}

describe("a fresh edge", () => {
  it("7: holds requests of a label whose client is on its way back, and each reaches the app once", async () => {
    const edge = await fresh();
    const replies = [
      visit(edge, host),
      visit(edge, host, { method: "POST", body: "x".repeat(100_000) }),
      visit(edge, host, { method: "POST" }),
      visit(edge, host, { method: "DELETE" }),
    ];
    await holds(edge, 4);
    const reached: string[] = [];
    harness.frps.handle = (req, res) => {
      req.resume();
      req.on("end", () => {
        reached.push(req.method ?? "");
        asApp(res).end("served");
      });
    };
    await edge.runtime.put(back);
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(reached.toSorted()).toEqual(["DELETE", "GET", "POST", "POST"]);
  });

  it("7: holds them over a frps that is away at that time, too", async () => {
    const { server } = harness.frps;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
    const edge = await fresh();
    const replies = [visit(edge, host), visit(edge, host, { method: "POST", body: "once" })];
    await holds(edge, 2);
    harness.frps.handle = handle;
    await new Promise<void>((resolve) => server.listen(harness.options.frps.vhostPort, "127.0.0.1", resolve));
    await edge.runtime.put(back);
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("serves at once what is served, and then everything of that label", async () => {
    harness.frps.handle = handle;
    const edge = await fresh();
    const get = await timed(visit(edge, host));
    const post = await timed(visit(edge, host, { method: "POST", body: "x" }));
    expect([get.value.status, post.value.status]).toEqual([200, 200]);
    expect(get.ms + post.ms).toBeLessThan(300);
  });

  it("lets a waiting POST go when another request was answered", async () => {
    harness.frps.handle = handle;
    const edge = await fresh();
    const post = timed(visit(edge, host, { method: "POST", body: "x" }));
    await holds(edge, 1);
    expect((await visit(edge, host)).status).toBe(200);
    const { value, ms } = await post;
    expect(value.status).toBe(200);
    expect(ms).toBeLessThan(1000);
  });

  it("11: says what is so when its time is over: whoever has not come back is offline, and no app is blamed", async () => {
    await harness.door.delete(other, { lastSeen: new Date(), reason: "offline" });
    const edge = await fresh(400);
    const [there, left, post] = await Promise.all([
      timed(visit(edge, host)),
      timed(visit(edge, hostOf(other))),
      timed(visit(edge, host, { method: "POST", body: "x" })),
    ]);
    expect([there, left, post].map(({ value }) => value.json["code"])).toEqual(["TUNNEL_OFFLINE", "TUNNEL_OFFLINE", "TUNNEL_OFFLINE"]);
    for (const { ms } of [there, left, post]) {
      expect(ms).toBeGreaterThan(250);
      expect(ms).toBeLessThan(900);
    }
    expect((await timed(visit(edge, host))).ms).toBeLessThan(300);
  });

  it("holds nobody longer than three seconds", async () => {
    const edge = await fresh(60_000);
    const replies = await Promise.all([timed(visit(edge, host)), timed(visit(edge, host, { method: "POST", body: "x" }))]);
    expect(replies.map(({ value }) => value.json["code"])).toEqual(["HANDOVER_IN_PROGRESS", "HANDOVER_IN_PROGRESS"]);
    for (const { ms } of replies) expect(ms).toBeLessThan(3500);
  });

  it("waits for a label that left while no edge was there, and not for one that left before, or is blocked", async () => {
    const [former, blocked] = [labelOf("c"), labelOf("d")];
    const seen = new Date();
    await harness.door.delete(former, { lastSeen: fileTime, reason: "offline" });
    await harness.door.delete(other, { lastSeen: seen, reason: "offline" });
    await harness.door.delete(blocked, { lastSeen: seen, reason: "offline" });
    await harness.door.block(blocked);
    const edge = await fresh();
    const waiting = visit(edge, hostOf(other));
    await holds(edge, 1);
    const [gone, refused] = await Promise.all([timed(visit(edge, hostOf(former))), timed(visit(edge, hostOf(blocked)))]);
    expect([gone.value.json["code"], refused.value.json["code"]]).toEqual(["TUNNEL_OFFLINE", "ADDRESS_BLOCKED"]);
    expect(gone.ms + refused.ms).toBeLessThan(300);
    harness.frps.handle = handle;
    await edge.runtime.put({ label: other, since: seen });
    expect((await waiting).status).toBe(200);
  });
});

describe("a full push to a fresh edge", () => {
  const nothing = { live: [], lastSeen: new Map([[live, fileTime]]), blocked: new Set<typeof live>(), blockedNetworks: new Set<never>() };

  it("does not end the wait for a label that went offline with the former edge", async () => {
    const edge = await fresh();
    const replies = [visit(edge, host), visit(edge, host, { method: "POST", body: "x" })];
    await holds(edge, 2);
    await edge.runtime.replaceAll(nothing);
    const later = visit(edge, host);
    await holds(edge, 3);
    harness.frps.handle = handle;
    await edge.runtime.put(back);
    expect((await Promise.all([...replies, later])).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it("12: ends it at once for a label that is blocked, or has ended", async () => {
    const edge = await fresh();
    const replies = [visit(edge, host)];
    await holds(edge, 1);
    await edge.runtime.replaceAll({ ...nothing, blocked: new Set([live]) });
    expect((await Promise.all(replies)).map(({ json }) => json["code"])).toEqual(["ADDRESS_BLOCKED"]);
    await writeFile(join(harness.dir, "live.map"), `${live} ${fileTime.toISOString()}\n`);
    const next = await fresh();
    const waiting = visit(next, host);
    await holds(next, 1);
    await next.runtime.delete(live, { lastSeen: fileTime, reason: "ended" });
    expect((await waiting).json["code"]).toBe("TUNNEL_OFFLINE");
  });

  it("tells that a client is back by its time: its POST waits no longer, one that may not be back does", async () => {
    await writeFile(join(harness.dir, "live.map"), `${live} ${fileTime.toISOString()}\n${other} ${fileTime.toISOString()}\n`);
    harness.frps.handle = handle;
    const edge = await fresh();
    const [first, second] = [live, other].map((label) => visit(edge, hostOf(label), { method: "POST", body: label }));
    await holds(edge, 2);
    await edge.runtime.replaceAll({
      live: [back, { label: other, since: fileTime }],
      lastSeen: new Map(),
      blocked: new Set(),
      blockedNetworks: new Set(),
    });
    expect((await first)?.status).toBe(200);
    await holds(edge, 1);
    await edge.runtime.put({ label: other, since: new Date() });
    expect((await second)?.status).toBe(200);
  });
});
