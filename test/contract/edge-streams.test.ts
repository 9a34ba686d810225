/**
 * Streams through the edge: events at once, bodies both ways without buffering, WebSockets, and what breaks on one side is
 * broken on the other.
 */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  asApp,
  asFrps,
  eventually,
  type Harness,
  hostOf,
  labelOf,
  live,
  observeStill,
  openHarness,
  sendRaw,
  visit,
} from "./edge-harness.ts";

let harness: Harness;
let handle: Harness["frps"]["handle"];
const sockets = new WebSocketServer({ noServer: true });
let upgrade: "accept" | "marker-less" | "refuse" | "frps" | "silent" = "accept";
const upgradeHeaders: IncomingMessage["headers"][] = [];

beforeAll(async () => {
  harness = await openHarness();
  handle = harness.frps.handle;
  sockets.on(
    "headers",
    (headers) => void (upgrade === "accept" && headers.push("X-Keyhole-App: 1", "Set-Cookie: a=1; Domain=tunnel.localhost")),
  );
  sockets.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
  harness.frps.server.on("upgrade", (req, socket, head) => {
    upgradeHeaders.push(req.headers);
    socket.on("error", () => {});
    if (upgrade === "silent") return;
    if (upgrade === "refuse")
      socket.end("HTTP/1.1 401 Unauthorized\r\nX-Keyhole-App: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwho?");
    else if (upgrade === "frps") socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfrp:");
    else sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit("connection", ws, req));
  });
});
beforeEach(() => {
  harness.frps.handle = handle;
  harness.frps.seen.length = 0;
  upgrade = "accept";
});
afterAll(async () => {
  for (const socket of sockets.clients) socket.terminate();
  await harness[Symbol.asyncDispose]();
});

const host = hostOf(live);

function open(options: { method?: string; path?: string; headers?: Record<string, string> } = {}): ClientRequest {
  const sent = request({
    host: "127.0.0.1",
    port: harness.edge.visitorsPort,
    method: options.method ?? "GET",
    path: options.path ?? "/",
    headers: { Host: host, ...options.headers },
    agent: false,
  });
  sent.on("error", () => {});
  return sent;
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.on("error", () => {});
  return answer;
}

describe("bodies", () => {
  it("an event stream's head and first event arrive within 50 ms of being written", async () => {
    let say = (_text: string): void => {};
    harness.frps.handle = (_req, res) => {
      const stream = asApp(res, 200, { "Content-Type": "text/event-stream" });
      stream.flushHeaders();
      say = (text) => void stream.write(text);
    };
    const sent = open();
    sent.end();
    const answer = await answerOf(sent);
    for (const text of ["data: 1\n\n", "data: 2\n\n"]) {
      const start = performance.now();
      say(text);
      const [chunk] = (await once(answer, "data")) as [Buffer];
      expect(chunk.toString()).toBe(text);
      expect(performance.now() - start).toBeLessThan(50);
    }
    sent.destroy();
  });

  it("a chunked upload's first part reaches the app while the visitor still writes", async () => {
    const parts: string[] = [];
    harness.frps.handle = (req, res) => {
      req.on("data", (chunk: Buffer) => parts.push(chunk.toString()));
      req.on("end", () => asApp(res).end(parts.join("|")));
    };
    const sent = open({ method: "POST" });
    sent.write("first");
    await eventually("the app has the first part", () => parts.length === 1);
    sent.end("last");
    const answer = await answerOf(sent);
    const [chunk] = (await once(answer, "data")) as [Buffer];
    expect(chunk.toString()).toBe("first|last");
  });

  it("200 MB up and down arrive whole, with flat memory", { timeout: 60_000 }, async () => {
    const total = 200 * 1024 * 1024;
    const block = Buffer.alloc(256 * 1024, 7);
    harness.frps.handle = (req, res) => {
      let received = 0;
      req.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      req.on("end", () => {
        const out = asApp(res, 200, { "X-Received": String(received), "Content-Length": String(total) });
        pump(out, total, block);
      });
    };
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    const sent = open({ method: "POST", headers: { "Content-Length": String(total) } });
    pump(sent, total, block);
    const answer = await answerOf(sent);
    expect(answer.headers["x-received"]).toBe(String(total));
    let received = 0;
    answer.on("data", (chunk: Buffer) => {
      received += chunk.length;
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    });
    await once(answer, "end");
    expect(received).toBe(total);
    // Visitor, edge and app share this process, and buffers wait for the collector: what counts is that it is not 400 MB.
    expect(peak).toBeLessThan(160 * 1024 * 1024);
  });

  it("a visitor that does not read stops the app from writing", async () => {
    let written = 0;
    harness.frps.handle = (_req, res) => {
      const out = asApp(res);
      const block = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!out.destroyed) {
          written += block.length;
          if (!out.write(block)) break;
        }
        out.once("drain", more);
      };
      more();
    };
    const socket = connect(harness.edge.visitorsPort, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await observeStill("what the app writes", () => written);
    expect(written).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
  });
});

describe("what breaks on one side", () => {
  it.each([
    ["while the app thinks", "think"],
    ["in the middle of the answer", "answer"],
    ["in the middle of the upload", "upload"],
  ])("a visitor that leaves %s is told to the app", async (_name, moment) => {
    let hasAppHeard = false;
    harness.frps.handle = (req, res) => {
      req.resume();
      res.on("close", () => {
        hasAppHeard = true;
      });
      if (moment === "answer") asApp(res).write("some");
    };
    const sent = open({ method: moment === "upload" ? "POST" : "GET" });
    if (moment === "upload") sent.write("some");
    else sent.end();
    if (moment === "answer") await once(await answerOf(sent), "data");
    await eventually("the app has the request", () => harness.frps.seen.length === 1);
    sent.destroy();
    await eventually("the app hears of it", () => hasAppHeard);
  });

  it("an app that breaks off in its answer breaks the visitor's connection, chunked or not, and for HTTP/1.0 by a reset", async () => {
    harness.frps.handle = (_req, res) => {
      asApp(res).write("some");
      setTimeout(() => res.destroy(), 30);
    };
    const { text, isClosed } = await sendRaw(harness.edge.visitorsPort, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(text).toContain("some");
    expect(text).not.toMatch(/\r\n0\r\n/);
    expect(isClosed).toBe(true);
    const socket = connect(harness.edge.visitorsPort, "127.0.0.1", () => socket.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`));
    socket.resume();
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });

  it("an app that dies before its answer is 502 for a POST, and asked once more for a GET", async () => {
    harness.frps.handle = (req) => {
      req.resume();
      req.on("end", () => req.socket.destroy());
    };
    const post = await visit(harness.edge, host, { method: "POST", body: "once" });
    expect([post.status, post.json["code"]]).toEqual([502, "APP_UNREACHABLE"]);
    expect(harness.frps.seen).toHaveLength(1);
    const get = await visit(harness.edge, host);
    expect(get.status).toBe(502);
    expect(harness.frps.seen).toHaveLength(3);
  });

  it("an app that never answers, and a frps that does not say so, are 504", async () => {
    const edge = await harness.again({ appTimeoutSeconds: -4 });
    harness.frps.handle = (req) => void req.resume();
    const reply = await visit(edge, host);
    expect([reply.status, reply.json["code"]]).toEqual([504, "APP_TIMEOUT"]);
    await edge.stop();
  });
});

describe("WebSocket", () => {
  const dial = (label = live, headers: Record<string, string> = {}): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${harness.edge.visitorsPort}/socket`, { headers: { Host: hostOf(label), ...headers } });
  const refusal = async (ws: WebSocket): Promise<{ status: number; body: string }> => {
    const [, answer] = (await once(ws, "unexpected-response")) as [ClientRequest, IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
  };

  it("echoes small and large messages, with our headers and without the marker", async () => {
    const ws = dial(live, { "X-Forwarded-For": "6.6.6.6", "X-Keyhole-App": "1" });
    const isOpen = once(ws, "open");
    const [answer] = (await once(ws, "upgrade")) as [IncomingMessage];
    expect(answer.headers["x-keyhole-app"]).toBeUndefined();
    expect(answer.headers["x-request-id"]).toMatch(/^request-/);
    expect(answer.headers["set-cookie"]).toEqual(["a=1"]);
    expect(upgradeHeaders.at(-1)).toMatchObject({ host, "x-forwarded-for": "127.0.0.1", connection: "Upgrade", upgrade: "websocket" });
    expect(upgradeHeaders.at(-1)?.["x-keyhole-app"]).toBeUndefined();
    await isOpen;
    for (const message of [Buffer.from("hello"), Buffer.alloc(4 * 1024 * 1024, 3)]) {
      const echo = once(ws, "message");
      ws.send(message);
      const [data] = (await echo) as [Buffer];
      expect(data.equals(message)).toBe(true);
    }
    ws.close(4000, "bye");
    const [code] = (await once(ws, "close")) as [number];
    expect(code).toBe(4000);
    await eventually("both sockets are gone", () => sockets.clients.size === 0);
  });

  it("what the visitor sends right behind its request is not lost", async () => {
    const key = Buffer.alloc(16).toString("base64");
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;
    const { text } = await sendRaw(harness.edge.visitorsPort, Buffer.concat([Buffer.from(head), frame]), { until: /hi$/ });
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    expect(text.endsWith("\u0081\u0002hi")).toBe(true);
  });

  it("ends on both sides together", async () => {
    const ws = dial();
    await once(ws, "open");
    for (const client of sockets.clients) client.terminate();
    const [code] = (await once(ws, "close")) as [number];
    expect(code).toBe(1006);
    const second = dial();
    await once(second, "open");
    second.terminate();
    await eventually("the app's side is gone", () => sockets.clients.size === 0);
  });

  it("the app's own refusal passes", async () => {
    upgrade = "refuse";
    expect(await refusal(dial())).toEqual({ status: 401, body: "who?" });
  });

  it.each([
    ["an app that is down", "frps", 502, "APP_UNREACHABLE"],
    ["a 101 without the marker", "marker-less", 502, "APP_UNREACHABLE"],
  ] as const)("%s is %s → %i", async (_name, mode, status, code) => {
    upgrade = mode;
    const { status: seen, body } = await refusal(dial());
    expect(seen).toBe(status);
    expect(JSON.parse(body).code).toBe(code);
  });

  it("an offline label is 503, a blocked one 403", async () => {
    const label = labelOf("e");
    expect((await refusal(dial(label))).status).toBe(503);
    await harness.door.block(label);
    expect((await refusal(dial(label))).status).toBe(403);
  });

  it("an app that does not answer the handshake is 504", async () => {
    upgrade = "silent";
    const edge = await harness.again({ appTimeoutSeconds: -4 });
    const ws = new WebSocket(`ws://127.0.0.1:${edge.visitorsPort}/`, { headers: { Host: host } });
    expect((await refusal(ws)).status).toBe(504);
    await edge.stop();
  });

  it("a visitor that leaves during the handshake is told to the app", async () => {
    upgrade = "silent";
    let isGone = false;
    harness.frps.server.once("upgrade", (_req, socket) => {
      socket.on("end", () => socket.end());
      socket.on("close", () => {
        isGone = true;
      });
      socket.resume();
    });
    const key = Buffer.alloc(16).toString("base64");
    const before = upgradeHeaders.length;
    const socket = connect(harness.edge.visitorsPort, "127.0.0.1", () =>
      socket.write(
        `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      ),
    );
    await eventually("the app has the handshake", () => upgradeHeaders.length > before);
    socket.resetAndDestroy();
    await eventually("the app hears of it", () => isGone);
  });
});

it("a request to a live label whose route is gone for good leaves nothing behind", async () => {
  harness.frps.handle = (_req, res) => asFrps(res);
  await Promise.all(Array.from({ length: 20 }, () => visit(harness.edge, host)));
  await eventually("no visitor connection is left", () => harness.edge.stats().openVisitorConnections === 0);
});

function pump(out: NodeJS.WritableStream, total: number, block: Buffer): void {
  let left = total;
  const more = (): void => {
    while (left > 0) {
      const part = left >= block.length ? block : block.subarray(0, left);
      left -= part.length;
      if (!out.write(part)) {
        out.once("drain", more);
        return;
      }
    }
    out.end();
  };
  more();
}
