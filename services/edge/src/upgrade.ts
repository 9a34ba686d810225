/**
 * One attempt at a WebSocket handshake. `101` from the app joins both sockets, and they end together; any other answer of
 * the app takes the same way as a plain one; silence and frps's own pages are outcomes like everywhere else. Through
 * node:http, because undici's pool has no place for a connection that changes its protocol.
 */
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { readAnswerHeaders } from "./answer-headers.ts";
import { countAnswered, countAsked } from "./edge-stats.ts";
import type { Exchange } from "./exchange.ts";
import { joinSockets } from "./join-sockets.ts";
import type { Passage } from "./label-traffic.ts";
import { breakOff } from "./proxy-request.ts";
import { connectTimeoutMs, maxAnswerHeaderBytes, type Outcome, quietBodyMs, type Upstream } from "./upstream.ts";

/** The visitor's side of a handshake: its socket, and what it sent behind the request. */
export type VisitorSide = { readonly socket: Duplex; readonly head: Buffer };

/** Sends the handshake once. Never rejects. */
export function proxyUpgrade(
  exchange: Exchange,
  headers: readonly string[],
  upstream: Upstream,
  { visitor, passage }: { readonly visitor: VisitorSide; readonly passage: Passage },
): Promise<Outcome> {
  return new Promise((resolve) => {
    let isConnected = false;
    let isSettled = false;
    let hasTimedOut = false;
    countAsked(upstream.counters, exchange);
    const settle = (outcome: Outcome): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      exchange.whenGone = undefined;
      resolve(outcome);
    };
    const sent: ClientRequest = request({
      host: upstream.host,
      port: upstream.port,
      method: "GET",
      path: exchange.req.url ?? "/",
      headers: [...headers],
      setHost: false,
      maxHeaderSize: maxAnswerHeaderBytes,
      // A connection of its own, for life: there is nothing to give back to a pool.
      createConnection: () => {
        const socket = connect({ host: upstream.host, port: upstream.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
        const giveUp = setTimeout(() => socket.destroy(), connectTimeoutMs).unref();
        socket.on("connect", () => {
          isConnected = true;
          clearTimeout(giveUp);
        });
        return socket;
      },
    });
    const timer = setTimeout(() => {
      hasTimedOut = true;
      sent.destroy();
    }, upstream.headersTimeoutMs).unref();
    passage.end = () => sent.destroy();
    exchange.whenGone = () => {
      sent.destroy();
      passage.leave();
      settle({ kind: "answered" });
    };

    const failed = (error?: NodeJS.ErrnoException): void =>
      settle(isConnected ? { kind: "broken" } : { kind: "refused", isAbsent: error?.code === "ECONNREFUSED" });
    sent.on("error", (error) => {
      if (hasTimedOut) settle({ kind: "timeout" });
      else failed(error);
    });
    sent.on("close", () => failed());
    sent.on("response", (answer) => {
      const { isMarked, headers: kept } = readAnswerHeaders(answer.rawHeaders, { marker: upstream.marker, requestId: exchange.requestId });
      if (upstream.marker !== undefined && !isMarked) {
        settle({ kind: "unmarked", status: answer.statusCode ?? 0 });
        sent.destroy();
        return;
      }
      try {
        relay(exchange, answer, kept, { upstream, passage });
      } catch {
        settle({ kind: "broken" });
        sent.destroy();
        return;
      }
      settle({ kind: "answered" });
      exchange.whenGone = () => sent.destroy();
    });
    sent.on("upgrade", (answer, socket, head) => {
      const { isMarked, headers: kept } = readAnswerHeaders(answer.rawHeaders, { marker: upstream.marker, requestId: exchange.requestId });
      const isWebSocket = (answer.headers.upgrade ?? "").toLowerCase() === "websocket";
      if (!isWebSocket || (upstream.marker !== undefined && !isMarked) || exchange.isGone) {
        socket.destroy();
        settle({ kind: "broken" });
        return;
      }
      join(exchange, visitor, { socket, head, headers: kept }, upstream);
      socket.once("close", () => passage.leave());
      passage.end = () => {
        visitor.socket.destroy();
        socket.destroy();
      };
      settle({ kind: "answered" });
    });
    sent.end();
  });
}

function relay(
  exchange: Exchange,
  answer: IncomingMessage,
  headers: readonly string[],
  { upstream, passage }: { readonly upstream: Upstream; readonly passage: Passage },
): void {
  const { res } = exchange;
  res.sendDate = false;
  countAnswered(upstream.counters, exchange);
  res.writeHead(answer.statusCode ?? 502, [...headers, "Connection", "close"]);
  answer.on("data", (chunk: Buffer) => {
    upstream.counters.bytesOutTotal += chunk.length;
  });
  answer.once("close", () => passage.leave());
  answer.setTimeout(quietBodyMs, () => answer.destroy());
  pipeline(answer, res, (error) => {
    exchange.whenGone = undefined;
    if (error !== null && error !== undefined) breakOff(exchange);
  });
}

function join(
  exchange: Exchange,
  visitor: VisitorSide,
  app: { readonly socket: Duplex; readonly head: Buffer; readonly headers: readonly string[] },
  upstream: Upstream,
): void {
  countAnswered(upstream.counters, exchange);
  let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  for (let index = 0; index + 1 < app.headers.length; index += 2) text += `${app.headers[index]}: ${app.headers[index + 1]}\r\n`;
  const { res, req } = exchange;
  res.detachSocket(req.socket);
  // Joined first, so that no error of either socket finds nobody listening.
  joinSockets(visitor.socket, app.socket, {
    fromOne: (bytes) => {
      upstream.counters.bytesInTotal += bytes;
    },
    fromOther: (bytes) => {
      upstream.counters.bytesOutTotal += bytes;
    },
  });
  visitor.socket.write(`${text}\r\n`, "latin1");
  if (app.head.length > 0) visitor.socket.write(app.head);
  if (visitor.head.length > 0) app.socket.write(visitor.head);
}
