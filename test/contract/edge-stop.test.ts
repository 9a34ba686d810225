/**
 * How an edge goes: nobody who is connected loses a request, nobody holds it up beyond its grace, and it goes at once when
 * nobody is there. What waits in the queue of a held socket is in edge-restart.test.ts.
 */
import { once } from "node:events";
import { open } from "node:fs/promises";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { NodeEdge } from "@keyhole/edge";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { first } from "./edge-certificates.ts";
import { asApp, eventually, type Harness, hostOf, live, openHarness } from "./edge-harness.ts";

const host = hostOf(live);
const graceMs = 1500;
const trusted: ConnectionOptions = { host: "127.0.0.1", ca: first.cert, servername: "localhost" };

let harness: Harness;
let agent: Agent;
beforeEach(async () => {
  harness = await openHarness({ stopGraceMs: graceMs });
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
});
afterEach(async () => {
  agent.destroy();
  await harness[Symbol.asyncDispose]();
});

/** Milliseconds that a stop takes. */
async function timeStop(edge: NodeEdge): Promise<number> {
  const start = performance.now();
  await edge.stop();
  return performance.now() - start;
}
function ask(path = "/", options: { agent?: Agent | false } = {}): ClientRequest {
  const sent = request({ host: "127.0.0.1", port: harness.edge.visitorsPort, path, headers: { Host: host }, agent: false, ...options });
  sent.on("error", () => {}).end();
  return sent;
}
async function readAnswer(sent: ClientRequest): Promise<{ status: number | undefined; connection: string | undefined }> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.resume();
  await once(answer, "end");
  return { status: answer.statusCode, connection: answer.headers.connection };
}
/** Answers every request when it is told to. */
function answerLater(): { count: () => number; release: () => void } {
  const waiting: (() => void)[] = [];
  harness.frps.handle = (req, res) => {
    req.resume();
    waiting.push(() => asApp(res).end("late"));
  };
  return {
    count: () => waiting.length,
    release: () => {
      for (const answer of waiting.splice(0)) answer();
    },
  };
}
async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

describe("an edge that stops", () => {
  it("is gone at once when nobody is there, and frees its ports", async () => {
    expect(await readAnswer(ask())).toEqual({ status: 200, connection: "close" });
    await eventually("nobody is there", () => harness.edge.stats().openVisitorConnections === 0);
    expect(await timeStop(harness.edge)).toBeLessThan(400);
    for (const port of [harness.edge.visitorsPort, harness.edge.controlPort]) {
      await expect(once(connect(port, "127.0.0.1"), "connect")).rejects.toThrow("ECONNREFUSED");
    }
  });

  it("answers what is under way, says that the connection closes, and waits no longer", async () => {
    const app = answerLater();
    const answer = readAnswer(ask("/", { agent }));
    await eventually("the app has it", () => app.count() === 1);
    const stopped = timeStop(harness.edge);
    app.release();
    expect(await answer).toEqual({ status: 200, connection: "close" });
    expect(await stopped).toBeLessThan(450);
  });

  it.each([
    ["plain", false],
    ["TLS", true],
  ])("serves a connection that has not sent its request yet: %s", async (_name, isSecure) => {
    const { certFile, keyFile } = harness.options.control;
    const edge = await harness.again(isSecure ? { visitors: { host: "127.0.0.1", port: 0, certFile, keyFile } } : {});
    const socket: Socket = isSecure ? connectTls({ ...trusted, port: edge.visitorsPort }) : connect(edge.visitorsPort, "127.0.0.1");
    await once(socket, isSecure ? "secureConnect" : "connect");
    await eventually("it is accepted", () => edge.stats().openVisitorConnections === 1);
    const stopped = timeStop(edge);
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const text = await readAll(socket);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/\r\nConnection: close\r\n/);
    expect(await stopped).toBeLessThan(450);
  });

  it("serves one more request on a kept connection, and says of its own answers too that it closes", async () => {
    expect(await readAnswer(ask("/", { agent }))).toEqual({ status: 200, connection: "keep-alive" });
    const stopped = timeStop(harness.edge);
    const sent = request({
      host: "127.0.0.1",
      port: harness.edge.visitorsPort,
      headers: { Host: "nobody.tunnel.localhost" },
      agent,
    });
    sent.end();
    expect(await readAnswer(sent)).toEqual({ status: 404, connection: "close" });
    expect(sent.reusedSocket).toBe(true);
    expect(await stopped).toBeLessThan(450);
  });

  it("lets an idle connection go after half a second, and serves a newcomer that is slower than that", async () => {
    await readAnswer(ask("/", { agent }));
    const silent = connect(harness.edge.visitorsPort, "127.0.0.1");
    await eventually("both are there", () => harness.edge.stats().openVisitorConnections === 2);
    const startedAt = performance.now();
    const stopped = timeStop(harness.edge);
    await eventually("the idle one is gone", () => harness.edge.stats().openVisitorConnections === 1);
    expect(performance.now() - startedAt).toBeGreaterThan(450);
    silent.write(`GET / HTTP/1.1\r\nHost: nobody.tunnel.localhost\r\n\r\n`);
    expect(await readAll(silent)).toMatch(/^HTTP\/1.1 404 /);
    expect(await stopped).toBeLessThan(graceMs);
  });

  it.each([
    ["a head that comes slowly", `GET / HTTP/1.1\r\nHost: ${host}\r\nX: `],
    ["a body that comes slowly", `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100000\r\n\r\n`],
  ])("is not held up beyond its grace by %s", async (_name, start) => {
    answerLater();
    const socket = connect(harness.edge.visitorsPort, "127.0.0.1", () => socket.write(start));
    socket.on("error", () => {});
    const trickle = setInterval(() => socket.write("a"), 50);
    await eventually("it is accepted", () => harness.edge.stats().openVisitorConnections === 1);
    const ms = await timeStop(harness.edge);
    clearInterval(trickle);
    expect(ms).toBeGreaterThan(graceMs - 100);
    expect(ms).toBeLessThan(graceMs + 500);
  });

  it("ends streams and WebSockets at the grace, as broken; the tunnels that carry them stay until then", async () => {
    const sockets = new WebSocketServer({ noServer: true });
    sockets.on("headers", (headers) => void headers.push("X-Keyhole-App: 1"));
    harness.frps.server.on("upgrade", (req, socket, head) => sockets.handleUpgrade(req, socket, head, () => {}));
    harness.frps.handle = (_req, res) => void asApp(res).write("for ever");
    const [answer] = (await once(ask(), "response")) as [IncomingMessage];
    answer.on("error", () => {}).resume();
    const ws = new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}/`, { headers: { Host: host } });
    await once(ws, "open");
    const accepted = once(harness.frps.control, "connection") as Promise<[Socket]>;
    const tunnel = connectTls({ ...trusted, port: harness.edge.controlPort });
    tunnel.on("error", () => {});
    const [frps] = await accepted;
    tunnel.resume();

    const ended = Promise.all([answer, ws, tunnel].map((each) => new Promise((resolve) => each.once("close", resolve))));
    const stopped = timeStop(harness.edge);
    const passed = once(frps, "data");
    tunnel.write("still here");
    expect(String((await passed)[0])).toBe("still here");
    expect([answer.destroyed, ws.readyState]).toEqual([false, WebSocket.OPEN]);
    const ms = await stopped;
    await ended;
    expect(ms).toBeGreaterThan(graceMs - 100);
    expect(ms).toBeLessThan(graceMs + 500);
    expect(answer.complete).toBe(false);
    for (const client of sockets.clients) client.terminate();
  });

  it("serves what it holds when the label comes back meanwhile", async () => {
    await harness.door.delete(live, { lastSeen: new Date(), reason: "offline" });
    const answer = readAnswer(ask());
    await eventually("it is held", () => harness.edge.stats().held === 1);
    const stopped = timeStop(harness.edge);
    await harness.door.put({ label: live, since: new Date() });
    expect(await answer).toEqual({ status: 200, connection: "close" });
    expect(await stopped).toBeLessThan(1000);
  });
});

it("a descriptor that is no listening socket is a reason not to start", async () => {
  const file = await open(harness.options.control.certFile);
  const { certFile, keyFile } = harness.options.control;
  await expect(harness.again({ visitors: { fd: file.fd } })).rejects.toMatchObject({ code: "PORT_BUSY" });
  await expect(harness.again({ control: { fd: file.fd, certFile, keyFile } })).rejects.toMatchObject({ code: "PORT_BUSY" });
  await file.close();
});
