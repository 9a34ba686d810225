/**
 * A label changes hands, goes away, comes back: what is held, what is sent again, and what is not (DESIGN.md §6). Every
 * request reaches an app once, unless it is one that changes nothing.
 */
import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { asApp, asFrps, eventually, type Harness, hostOf, labelOf, live, openHarness, visit } from "./edge-harness.ts";

let harness: Harness;
let next = 1;
beforeAll(async () => {
  harness = await openHarness();
});
beforeEach(() => {
  harness.frps.handle = (_req, res) => asFrps(res);
  harness.frps.seen.length = 0;
});
afterAll(() => harness[Symbol.asyncDispose]());

/** A label of its own for each test, so that no transition leaks into the next one. */
function freshLabel() {
  next += 1;
  return labelOf((next % 16).toString(16));
}
const answers = (_req: IncomingMessage, res: ServerResponse): void => {
  _req.resume();
  _req.on("end", () => asApp(res).end("served"));
};
const went = { lastSeen: new Date("2026-03-04T05:06:07Z"), reason: "offline" } as const;
const isHeld = (count: number) => eventually(`${count} requests are held`, () => harness.edge.stats().held === count);
const putNow = (label: ReturnType<typeof labelOf>) => harness.door.put({ label, since: new Date() });

describe("a label that went offline", () => {
  it("holds a GET and a POST until it is back, and each reaches the app once", async () => {
    const label = freshLabel();
    await harness.door.delete(label, went);
    const get = visit(harness.edge, hostOf(label));
    const post = visit(harness.edge, hostOf(label), { method: "POST", body: "x".repeat(100_000) });
    await isHeld(2);
    harness.frps.handle = answers;
    await putNow(label);
    expect((await Promise.all([get, post])).map((reply) => reply.status)).toEqual([200, 200]);
    expect(harness.frps.seen.map((seen) => seen.method).sort()).toEqual(["GET", "POST"]);
    expect(harness.edge.stats().held).toBe(0);
  });

  it("11: is 503 TUNNEL_OFFLINE when it does not come back within 1.5 s, and at once afterwards", async () => {
    const label = freshLabel();
    await harness.door.delete(label, went);
    const start = performance.now();
    const reply = await visit(harness.edge, hostOf(label));
    expect(reply.status).toBe(503);
    expect(reply.json).toMatchObject({ code: "TUNNEL_OFFLINE", lastSeen: "2026-03-04T05:00:00.000Z" });
    expect(performance.now() - start).toBeGreaterThan(1300);
    expect(performance.now() - start).toBeLessThan(1900);
    const again = performance.now();
    expect((await visit(harness.edge, hostOf(label))).status).toBe(503);
    expect(performance.now() - again).toBeLessThan(200);
  });

  it("12: an ended, an evicted and a blocked label are not held", async () => {
    const label = freshLabel();
    await harness.door.delete(label, went);
    const held = visit(harness.edge, hostOf(label));
    await isHeld(1);
    const start = performance.now();
    await harness.door.block(label);
    expect((await held).json["code"]).toBe("ADDRESS_BLOCKED");
    await harness.door.unblock(label);
    await harness.door.delete(label, { ...went, reason: "ended" });
    expect((await visit(harness.edge, hostOf(label))).json["code"]).toBe("TUNNEL_OFFLINE");
    expect(performance.now() - start).toBeLessThan(500);
  });

  it("a 404 of frps a moment before we are told counts as gone offline: held, then served", async () => {
    const label = freshLabel();
    await putNow(label);
    await settled(label);
    const reply = visit(harness.edge, hostOf(label));
    await eventually("frps was asked", () => harness.frps.seen.length === 1);
    await harness.door.delete(label, went);
    await isHeld(1);
    harness.frps.handle = answers;
    await putNow(label);
    expect((await reply).status).toBe(200);
  });

  it("a POST that may have been delivered is not sent again: 503, come back in a second", async () => {
    const label = freshLabel();
    await putNow(label);
    await settled(label);
    harness.frps.handle = (req, res) => {
      req.resume();
      req.on("end", () => asFrps(res));
    };
    const reply = visit(harness.edge, hostOf(label), { method: "POST", body: "once" });
    await eventually("frps was asked", () => harness.frps.seen.length === 1);
    await harness.door.delete(label, went);
    const { status, json, headers } = await reply;
    expect([status, json["code"], headers.get("retry-after")]).toEqual([503, "HANDOVER_IN_PROGRESS", "1"]);
    expect(harness.frps.seen).toHaveLength(1);
  });

  it("a held visitor that leaves gives its seat back", async () => {
    const label = freshLabel();
    await harness.door.delete(label, went);
    const sent = request({ host: "127.0.0.1", port: harness.edge.visitorsPort, headers: { Host: hostOf(label) }, agent: false });
    sent.on("error", () => {});
    sent.end();
    await isHeld(1);
    sent.destroy();
    await isHeld(0);
    expect(harness.frps.seen).toHaveLength(0);
  });

  it("holds at most a hundred visitors of one label, and asks the others to come back", async () => {
    const label = freshLabel();
    await harness.door.delete(label, went);
    const replies = Array.from({ length: 110 }, (_, index) =>
      visit(harness.edge, hostOf(label), { localAddress: `127.0.0.${1 + Math.floor(index / 20)}` }),
    );
    let refused = 0;
    for (const reply of replies) void reply.then(({ status }) => (refused += status === 503 ? 1 : 0));
    await eventually("ten are refused", () => refused === 10);
    await isHeld(100);
    harness.frps.handle = answers;
    await putNow(label);
    const statuses = (await Promise.all(replies)).map((reply) => `${reply.status} ${reply.headers.get("retry-after")}`);
    expect(statuses.filter((text) => text === "200 null")).toHaveLength(100);
    expect(statuses.filter((text) => text === "503 1")).toHaveLength(10);
  });
});

describe("a label that changes hands", () => {
  it.each([
    ["a 404 of frps", (_req: IncomingMessage, res: ServerResponse) => asFrps(res)],
    ["a connection that breaks", (req: IncomingMessage) => void req.socket.destroy()],
  ])("%s is tried again until the new holder answers", async (_name, broken) => {
    const label = freshLabel();
    await putNow(label);
    await settled(label);
    harness.frps.handle = broken;
    await harness.door.handOver(label);
    const reply = visit(harness.edge, hostOf(label));
    await eventually("it was tried several times", () => harness.frps.seen.length > 3);
    harness.frps.handle = answers;
    expect((await reply).status).toBe(200);
  });

  it.each(["POST", "DELETE"])("a %s without a body that met a 404 is not repeated", async (method) => {
    const label = freshLabel();
    await putNow(label);
    const reply = await visit(harness.edge, hostOf(label), { method });
    expect([reply.status, reply.json["code"]]).toEqual([503, "HANDOVER_IN_PROGRESS"]);
    expect(harness.frps.seen).toHaveLength(1);
  });

  it("a frps that is down for a moment is waited for", async () => {
    const label = freshLabel();
    await putNow(label);
    await settled(label);
    harness.frps.server.close();
    harness.frps.server.closeAllConnections();
    await harness.door.handOver(label);
    const replies = [visit(harness.edge, hostOf(label)), visit(harness.edge, hostOf(label), { method: "POST", body: "once" })];
    await isHeld(2);
    harness.frps.handle = answers;
    harness.frps.server.listen(harness.options.frps.vhostPort, "127.0.0.1");
    expect((await Promise.all(replies)).map((reply) => reply.status)).toEqual([200, 200]);
    expect(harness.frps.seen).toHaveLength(2);
  });

  it("an app that stays down is 502 when the transition is over, and other labels notice nothing", async () => {
    const label = freshLabel();
    await putNow(label);
    const start = performance.now();
    const reply = await visit(harness.edge, hostOf(label));
    expect([reply.status, reply.json["code"]]).toEqual([502, "APP_UNREACHABLE"]);
    expect(performance.now() - start).toBeLessThan(2000);
    const settledStart = performance.now();
    expect((await visit(harness.edge, hostOf(live))).status).toBe(502);
    expect(performance.now() - settledStart).toBeLessThan(400);
  });

  it("a WebSocket handshake is held like a GET", async () => {
    const { WebSocket, WebSocketServer } = await import("ws");
    const accepting = new WebSocketServer({ noServer: true });
    accepting.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    let isUp = false;
    harness.frps.server.on("upgrade", (req, socket, head) => {
      if (isUp) accepting.handleUpgrade(req, socket, head, (ws) => ws.send("hello"));
      else socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    const label = freshLabel();
    await harness.door.delete(label, went);
    const ws = new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}/`, { headers: { Host: hostOf(label) } });
    const message = once(ws, "message");
    await isHeld(1);
    await putNow(label);
    isUp = true;
    expect(String((await message)[0])).toBe("hello");
    ws.terminate();
    for (const client of accepting.clients) client.terminate();
  });

  it("GETs of 100 ms at 50 a second over ten takeovers: none fails", { timeout: 30_000 }, async () => {
    const label = freshLabel();
    let holder = 0;
    let isRouted = true;
    const underWay = new Set<ServerResponse>();
    harness.frps.handle = (_req, res) => {
      if (!isRouted) return asFrps(res);
      underWay.add(res);
      const mine = holder;
      setTimeout(() => {
        if (underWay.delete(res)) asApp(res).end(`holder ${mine}`);
      }, 100);
    };
    await putNow(label);
    const replies: ReturnType<typeof visit>[] = [];
    const visits = setInterval(() => replies.push(visit(harness.edge, hostOf(label))), 20);
    const moreVisits = (count: number): Promise<void> => {
      const wanted = replies.length + count;
      return eventually(`${count} more visits`, () => replies.length >= wanted);
    };
    for (let round = 1; round <= 10; round += 1) {
      await moreVisits(7);
      await harness.door.handOver(label);
      // The kick: no route, and what was under way gets frps's page or a broken connection.
      isRouted = false;
      for (const res of underWay) {
        underWay.delete(res);
        if (round % 2 === 0) asFrps(res);
        else res.destroy();
      }
      await moreVisits(1);
      if (round % 3 === 0) await harness.door.delete(label, went);
      await moreVisits(1);
      holder = round;
      await putNow(label);
      // The proxy is registered a moment after the plugin has said yes.
      await moreVisits(1);
      isRouted = true;
    }
    await moreVisits(5);
    clearInterval(visits);
    const statuses = (await Promise.all(replies)).map((reply) => reply.status);
    expect(statuses.length).toBeGreaterThan(60);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

/** The transition that follows every `put` is over. */
async function settled(label: ReturnType<typeof labelOf>): Promise<void> {
  const handle = harness.frps.handle;
  harness.frps.handle = (_req, res) => asFrps(res);
  expect((await visit(harness.edge, hostOf(label))).status).toBe(502);
  harness.frps.handle = handle;
  harness.frps.seen.length = 0;
}
