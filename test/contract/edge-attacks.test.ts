/**
 * What an attacker's review of the edge found: crashes and exhaustion by pipelining, control connections that nobody may
 * keep, streams of a displaced client, and seats that one visitor could take from all others.
 */
import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { first } from "./edge-certificates.ts";
import { asApp, asFrps, domain, eventually, type Harness, hostOf, labelOf, live, openHarness, sendRaw, visit } from "./edge-harness.ts";

let harness: Harness;
let plain: Harness["frps"]["handle"];
beforeAll(async () => {
  harness = await openHarness({ claimTimeoutMs: 300 });
  plain = harness.frps.handle;
});
beforeEach(() => {
  harness.frps.handle = plain;
  harness.frps.seen.length = 0;
});
afterAll(() => harness[Symbol.asyncDispose]());

const get = (path: string, host: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const went = { lastSeen: new Date("2026-03-04T05:06:07Z") };
const putNow = (label: ReturnType<typeof labelOf>) => harness.door.put({ label, since: new Date() });

describe("pipelined requests", () => {
  it.each([
    ["a WebSocket handshake", get("/ws", hostOf(live), upgrade)],
    ["a CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"],
  ])("%s behind a request under way closes that connection, answers nothing in its place, and the edge lives on", async (_name, second) => {
    harness.frps.handle = (req) => req.resume();
    for (const host of [domain, hostOf(live)]) {
      const { text, isClosed } = await sendRaw(harness.edge.visitorsPort, get("/healthz", host) + second);
      expect([text, isClosed]).toEqual(["", true]);
    }
    harness.frps.handle = plain;
    expect((await visit(harness.edge, hostOf(live))).status).toBe(200);
  });

  it("one exchange at a time: the next reaches the app when the one before it is answered", async () => {
    const waiting: ServerResponse[] = [];
    harness.frps.handle = (_req, res) => void waiting.push(res);
    const all = sendRaw(
      harness.edge.visitorsPort,
      get("/1", hostOf(live)) + get("/2", hostOf(live)) + get("/3", hostOf(live), "Connection: close\r\n"),
    );
    for (const count of [1, 2, 3]) {
      await eventually(`request ${count} arrived`, () => waiting.length === count);
      // A round trip of another visitor: had the next one been sent, it would have arrived by now.
      harness.frps.handle = plain;
      await visit(harness.edge, hostOf(live));
      expect(waiting).toHaveLength(count);
      harness.frps.handle = (_req, res) => void waiting.push(res);
      asApp(waiting[count - 1] as ServerResponse).end(`answer ${count}`);
    }
    expect((await all).text).toMatch(/answer 1.*answer 2.*answer 3/s);
  });

  it("more than sixteen that wait close the connection", async () => {
    harness.frps.handle = (req) => req.resume();
    const { text, isClosed } = await sendRaw(harness.edge.visitorsPort, get("/", hostOf(live)).repeat(18));
    expect([text, isClosed]).toEqual(["", true]);
    expect(harness.frps.seen.length).toBeLessThanOrEqual(1);
  });
});

describe("port 7000", () => {
  const dial = async (): Promise<{ client: TLSSocket; frps: Socket; address: string }> => {
    const accepted = once(harness.frps.control, "connection");
    const client = connectTls({ host: "127.0.0.1", port: harness.edge.controlPort, ca: first.cert, servername: "localhost" });
    client.on("error", () => {}).resume();
    await once(client, "secureConnect");
    const [frps] = (await accepted) as [Socket];
    const address = `${frps.remoteAddress}:${frps.remotePort}`;
    await eventually("it is known", async () => (await harness.door.connectionOf(address)) !== undefined);
    return { client, frps, address };
  };

  it("a connection that nobody claims is ended, a claimed one stays", async () => {
    const claimed = await dial();
    const id = (await harness.door.connectionOf(claimed.address))?.id ?? "";
    await harness.door.claim(id, { holder: "holder", label: live });
    expect([await harness.door.claimedBy("holder"), await harness.door.claimedBy("nobody")]).toEqual([id, undefined]);
    const idle = await dial();
    expect((await harness.door.connectionOf(idle.address))?.id).not.toBe(id);
    idle.frps.resume();
    await once(idle.client, "close");
    expect(await harness.door.connectionOf(idle.address)).toBeUndefined();
    expect((await harness.door.connectionOf(claimed.address))?.id).toBe(id);
    expect(await harness.door.cut(id)).toBe(true);
    expect(await harness.door.claimedBy("holder")).toBeUndefined();
  });

  it.each([
    ["its session has ended", (id: string) => harness.door.release(id)],
    ["its holder is none of those that there are", () => harness.door.keepOnly(new Set(["kept"]))],
  ])("a claimed connection is ended if it is not claimed again: %s", async (manner, lose) => {
    const lost = await dial();
    const kept = await dial();
    const [lostId = "", keptId = ""] = await Promise.all(
      [lost, kept].map(async ({ address }) => (await harness.door.connectionOf(address))?.id),
    );
    await harness.door.claim(lostId, { holder: "lost", label: live });
    await harness.door.claim(keptId, { holder: "kept", label: live });
    await lose(lostId);
    if (manner === "its session has ended") {
      await lose(keptId);
      await harness.door.claim(keptId, { holder: "kept", label: live });
    }
    lost.frps.resume();
    await once(lost.client, "close");
    expect([await harness.door.claimedBy("lost"), await harness.door.claimedBy("kept")]).toEqual([undefined, keptId]);
    expect(await harness.door.cut(keptId)).toBe(true);
  });

  it("11: whose client is gone holds the label's requests, before anybody says what became of it", async () => {
    const label = labelOf("d");
    await harness.door.put({ label, since: new Date() });
    const { client, frps, address } = await dial();
    frps.resume().on("end", () => frps.end());
    const id = (await harness.door.connectionOf(address))?.id ?? "";
    await harness.door.claim(id, { holder: "lost", label });
    harness.frps.handle = (_req, res) => asFrps(res);
    // Past the transition that its coming began: what frps does not know is the app's absence then.
    await eventually("it is settled", async () => (await visit(harness.edge, hostOf(label))).json["code"] === "APP_UNREACHABLE");
    client.destroy();
    await eventually("it is lost", async () => (await harness.door.connectionOf(address)) === undefined);
    const held = visit(harness.edge, hostOf(label));
    await eventually("it is held", () => harness.edge.stats().held === 1);
    harness.frps.handle = (_req, res) => asApp(res).end("back");
    await harness.door.put({ label, since: new Date() });
    expect((await held).status).toBe(200);
  });

  it("11: whose client is gone, and nobody says what became of it, is offline after the hold, and no app is blamed", async () => {
    const label = labelOf("e");
    await harness.door.put({ label, since: new Date() });
    const { client, frps, address } = await dial();
    frps.resume().on("end", () => frps.end());
    const id = (await harness.door.connectionOf(address))?.id ?? "";
    await harness.door.claim(id, { holder: "lost", label });
    harness.frps.handle = (_req, res) => asFrps(res);
    client.destroy();
    await eventually("it is lost", async () => (await harness.door.connectionOf(address)) === undefined);
    const codes = async (): Promise<unknown> => (await visit(harness.edge, hostOf(label))).json["code"];
    await eventually("the hold is over", async () => (await codes()) === "TUNNEL_OFFLINE");
    // A client that is there, and whose app is not, is told from that.
    await harness.door.put({ label, since: new Date() });
    await eventually("it is settled", async () => (await codes()) === "APP_UNREACHABLE");
  });

  it.each([["whole"], ["byte by byte"]])("a GET inside TLS is closed and nothing of it reaches frps: %s", async (manner) => {
    const { client, frps } = await dial();
    let received = 0;
    frps.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    client.setNoDelay(true);
    const text = "GET /~!frp HTTP/1.1\r\nHost: x\r\n\r\n";
    const closed = once(client, "close");
    if (manner === "whole") client.write(text);
    else for (const byte of text) client.write(byte);
    await closed;
    await eventually("frps's side is closed", () => frps.destroyed || frps.readableEnded);
    expect(received).toBe(0);
    frps.destroy();
  });
});

describe("what is under way to a label", () => {
  const open = async (label: ReturnType<typeof labelOf>): Promise<{ closed: Promise<unknown> }> => {
    const sent = request({ host: "127.0.0.1", port: harness.edge.visitorsPort, headers: { Host: hostOf(label) }, agent: false });
    sent.end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    answer.on("error", () => {}).resume();
    sent.on("error", () => {});
    return { closed: new Promise((resolve) => answer.once("close", resolve)) };
  };
  const streams = (_req: IncomingMessage, res: ServerResponse): void => void asApp(res).write("begun");

  it.each([
    ["taken over", (label: ReturnType<typeof labelOf>) => harness.door.handOver(label).then(() => putNow(label))],
    ["ended", (label: ReturnType<typeof labelOf>) => harness.door.delete(label, { ...went, reason: "ended" as const })],
    ["blocked", (label: ReturnType<typeof labelOf>) => harness.door.block(label)],
  ])("streams and WebSockets end when it is %s, though frps keeps them", async (_name, change) => {
    const label = labelOf("c");
    await harness.door.unblock(label);
    await putNow(label);
    harness.frps.handle = streams;
    const accepting = new WebSocketServer({ noServer: true });
    accepting.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    harness.frps.server.removeAllListeners("upgrade");
    harness.frps.server.on("upgrade", (req, socket, head) => accepting.handleUpgrade(req, socket, head, () => {}));
    const stream = await open(label);
    const ws = new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}/`, { headers: { Host: hostOf(label) } });
    await once(ws, "open");
    const other = await open(live);
    let isOtherClosed = false;
    void other.closed.then(() => {
      isOtherClosed = true;
    });
    const wsClosed = once(ws, "close");
    await change(label);
    await Promise.all([stream.closed, wsClosed]);
    expect(isOtherClosed).toBe(false);
    harness.frps.server.removeAllListeners("upgrade");
  });

  it("all that began before the newcomer came ends, also after the hand-over was announced; without a hand-over nothing ends", async () => {
    const label = labelOf("d");
    await putNow(label);
    harness.frps.handle = streams;
    const kept = await open(label);
    let isKeptClosed = false;
    void kept.closed.then(() => {
      isKeptClosed = true;
    });
    await putNow(label);
    await visitOther();
    expect(isKeptClosed).toBe(false);
    await harness.door.handOver(label);
    const later = await open(label);
    await putNow(label);
    await kept.closed;
    await later.closed;
    const ofNewcomer = await open(label);
    let isNewClosed = false;
    void ofNewcomer.closed.then(() => {
      isNewClosed = true;
    });
    await visitOther();
    expect(isNewClosed).toBe(false);
  });

  it("an unanswered GET goes to the new holder, an unanswered POST is told to come back", async () => {
    const label = labelOf("e");
    await putNow(label);
    harness.frps.handle = (req) => req.resume();
    const replies = [visit(harness.edge, hostOf(label)), visit(harness.edge, hostOf(label), { method: "POST", body: "once" })];
    await eventually("both are under way", () => harness.frps.seen.length === 2);
    await harness.door.handOver(label);
    harness.frps.handle = plain;
    await putNow(label);
    const [got, posted] = await Promise.all(replies);
    expect([got?.status, posted?.json["code"]]).toEqual([200, "HANDOVER_IN_PROGRESS"]);
  });

  const visitOther = async (): Promise<void> => {
    harness.frps.handle = plain;
    expect((await visit(harness.edge, hostOf(live))).status).toBe(200);
    harness.frps.handle = streams;
  };
});

describe("held requests", () => {
  it("one visitor's address has a hundred seats, over all labels", async () => {
    const labels = [labelOf("f"), labelOf("7")];
    for (const label of labels) await harness.door.delete(label, { ...went, reason: "offline" });
    let refused = 0;
    const replies = labels.flatMap((label) => Array.from({ length: 60 }, () => visit(harness.edge, hostOf(label))));
    for (const reply of replies) void reply.then(({ status }) => (refused += status === 503 ? 1 : 0));
    await eventually("a hundred are held, the others refused", () => harness.edge.stats().held === 100 && refused === 20);
    for (const label of labels) await putNow(label);
    const statuses = (await Promise.all(replies)).map((reply) => reply.status);
    expect(statuses.filter((status) => status === 503)).toHaveLength(20);
  });

  it("nobody is held longer than three seconds, however often the label changes hands", { timeout: 10_000 }, async () => {
    const label = labelOf("9");
    await harness.door.delete(label, { ...went, reason: "offline" });
    const start = performance.now();
    const changes = setInterval(() => void harness.edge.runtime.handOver(label), 200);
    const reply = await visit(harness.edge, hostOf(label));
    clearInterval(changes);
    expect(reply.json["code"]).toBe("HANDOVER_IN_PROGRESS");
    expect(performance.now() - start).toBeGreaterThan(2900);
    expect(performance.now() - start).toBeLessThan(3500);
  });
});
