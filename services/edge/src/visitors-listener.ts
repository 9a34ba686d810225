/**
 * The visitors' port: HTTP/1.1, or HTTPS when there is a certificate. Node's parser runs strictly; what it refuses gets a
 * problem document and a closed connection. Everything it lets through is judged by its form and its host, and then served
 * by exactly one of three: the token service, a label's tunnel, or an answer of ours.
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { RefusalCode } from "@keyhole/core";
import { sendAnswer, writeRawAnswer } from "./answers.ts";
import { openCertificate } from "./certificate.ts";
import { cutVisitors } from "./cut-visitors.ts";
import { drainVisitors } from "./drain-visitors.ts";
import { classOf, type EdgeCounters } from "./edge-stats.ts";
import { Exchange } from "./exchange.ts";
import type { HoldRoom } from "./hold-room.ts";
import type { LabelEvidence } from "./label-evidence.ts";
import type { LabelStates } from "./label-states.ts";
import type { LabelTraffic } from "./label-traffic.ts";
import { type ListenOn, listen } from "./listen.ts";
import type { Log } from "./log.ts";
import { codeOfParseError } from "./parse-errors.ts";
import { proxyRequest } from "./proxy-request.ts";
import { isWebSocketRequest, type RequestForm, readRequestForm } from "./request-form.ts";
import { renderRequestHeaders } from "./request-headers.ts";
import { serveService } from "./serve-service.ts";
import { serveTunnel } from "./serve-tunnel.ts";
import { serverOptions } from "./server-options.ts";
import { createTurns } from "./turns.ts";
import { proxyUpgrade, type VisitorSide } from "./upgrade.ts";
import type { Upstream } from "./upstream.ts";
import type { DeriveVisitorAddress } from "./visitor-address.ts";

export type VisitorsListener = {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  connections(): number;
  /** Ends every connection whose visitor's network is blocked by now, whatever is under way on it. Tells how many. */
  cutBlocked(): number;
  /** Stops accepting, and resolves when every visitor has its answer and is gone: at most after `graceMs`. */
  close(graceMs: number): Promise<void>;
};

export type VisitorsDeps = {
  readonly listen: ListenOn;
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly names: { readonly domain: string; readonly controlHost?: string };
  readonly scheme: "http" | "https";
  readonly states: LabelStates;
  readonly evidence: LabelEvidence;
  readonly traffic: LabelTraffic;
  readonly room: HoldRoom;
  readonly frps: Upstream;
  readonly service: Upstream;
  readonly serviceRoom: HoldRoom;
  readonly edgePassword: string;
  readonly visitorAddress: DeriveVisitorAddress;
  /** Asked once for each request, when it is its turn. */
  readonly isBlocked: (address: string) => boolean;
  /** How long a connection without a request is kept. */
  readonly idleMs: number;
  readonly counters: EdgeCounters;
  readonly now: () => Date;
  readonly newRequestId: () => string;
  readonly log: Log;
};

export async function startVisitorsListener(deps: VisitorsDeps): Promise<VisitorsListener> {
  const { log, counters } = deps;
  const sockets = new Set<Socket>();
  const turns = createTurns();
  let isDraining = false;

  /** Nothing that a visitor sends may end the process: what is thrown costs its own connection. */
  const safely = (socket: Duplex, work: () => void, requestId?: string): void => {
    try {
      work();
    } catch (error) {
      log.error({ err: error, requestId }, "a visitor's connection was closed: its request could not be handled");
      socket.destroy();
    }
  };
  const take = (req: IncomingMessage, res: ServerResponse, hasBody: boolean, awaitsContinue: boolean): Exchange => {
    const source = deps.visitorAddress(req.socket.remoteAddress, req.rawHeaders);
    if (isDraining) res.shouldKeepAlive = false;
    return new Exchange({ req, res, requestId: deps.newRequestId(), source, arrivedMs: counters.monotonicMs(), hasBody, awaitsContinue });
  };
  const refuse = (exchange: Exchange, code: RefusalCode): void => {
    counters.requestsTotal.none[classOf(code)] += 1;
    sendAnswer(exchange, code);
  };
  const lineUp = (exchange: Exchange, work: () => void): void =>
    turns.lineUp(exchange, () =>
      safely(
        exchange.req.socket,
        () => {
          if (exchange.isGone) return;
          if (deps.isBlocked(exchange.source)) refuse(exchange, "NETWORK_BLOCKED");
          else work();
        },
        exchange.requestId,
      ),
    );

  const serve = (req: IncomingMessage, res: ServerResponse, awaitsContinue: boolean, upgrade?: VisitorSide): void => {
    const form = readRequestForm(req, deps.names);
    const exchange = take(req, res, form.hasBody, awaitsContinue);
    lineUp(exchange, () => serveForm(exchange, form, upgrade));
  };
  const serveForm = (exchange: Exchange, form: RequestForm, upgrade: VisitorSide | undefined): void => {
    const { req } = exchange;
    if (form.kind === "refused") {
      // Who says one thing in two ways may mean another: what comes behind it on this connection is read by nobody.
      if (form.code === "REQUEST_MALFORMED" || form.code === "HOST_INVALID") exchange.res.shouldKeepAlive = false;
      refuse(exchange, form.code);
      return;
    }
    const isWebSocket = upgrade !== undefined && form.kind === "tunnel";
    const headers = renderRequestHeaders(req.rawHeaders, {
      host: form.host,
      source: exchange.source,
      scheme: deps.scheme,
      requestId: exchange.requestId,
      marker: deps.frps.marker ?? "",
      isWebSocket,
      ...(form.kind === "service" ? { edgePassword: deps.edgePassword } : {}),
    });
    const served =
      form.kind === "service"
        ? serveService(exchange, headers, deps)
        : serveTunnel(
            exchange,
            form.label,
            (passage) =>
              upgrade === undefined
                ? proxyRequest(exchange, headers, deps.frps, passage)
                : proxyUpgrade(exchange, headers, deps.frps, { visitor: upgrade, passage }),
            deps,
          );
    served.catch((error: unknown) => {
      log.error({ err: error, requestId: exchange.requestId }, "a request could not be served");
      sendAnswer(exchange, "APP_UNREACHABLE");
    });
  };

  const refuseRaw = (socket: Duplex, code: RefusalCode): void => {
    counters.requestsTotal.none[classOf(code)] += 1;
    writeRawAnswer(socket, code, deps.newRequestId());
  };

  const certificate =
    deps.certificate === undefined
      ? undefined
      : await openCertificate({
          ...deps.certificate,
          onChange: (pair) => (server as SecureServer).setSecureContext({ ...pair, minVersion: "TLSv1.2" }),
          now: deps.now,
          log,
        });
  const server: Server | SecureServer =
    certificate === undefined
      ? createServer({ ...serverOptions, keepAliveTimeout: deps.idleMs })
      : createSecureServer({
          ...serverOptions,
          keepAliveTimeout: deps.idleMs,
          ...certificate.current(),
          minVersion: "TLSv1.2",
          ALPNProtocols: ["http/1.1"],
          handshakeTimeout: 10_000,
        });
  // Every header is looked at: Node would silently drop what is beyond its default count.
  server.maxHeadersCount = 0;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("request", (req, res) => safely(req.socket, () => serve(req, res, false)));
  server.on("checkContinue", (req, res) => safely(req.socket, () => serve(req, res, true)));
  server.on("checkExpectation", (req, res) =>
    safely(req.socket, () => {
      const exchange = take(req, res, readRequestForm(req, deps.names).hasBody, true);
      lineUp(exchange, () => refuse(exchange, "EXPECTATION_FAILED"));
    }),
  );
  server.on("upgrade", (req, socket, head) =>
    safely(socket, () => {
      socket.on("error", () => {});
      // The parser is given up, and the connection belongs to an answer under way: there is no way on for either.
      if (turns.of(socket).length > 0) {
        socket.destroy();
        return;
      }
      // Node before 24.9 does not ask the callback above, and has given up the connection's parser by now.
      if (!isWebSocketRequest(req)) {
        refuseRaw(socket, "REQUEST_MALFORMED");
        return;
      }
      const res = new ServerResponse(req);
      res.assignSocket(req.socket);
      res.shouldKeepAlive = false;
      res.once("finish", () => {
        res.detachSocket(req.socket);
        req.socket.destroySoon();
      });
      serve(req, res, false, { socket, head });
    }),
  );
  server.on("connect", (_req, socket) =>
    safely(socket, () => {
      socket.on("error", () => {});
      // The refusal must not be read as the answer to a request before it.
      if (turns.of(socket).length > 0) socket.destroy();
      else refuseRaw(socket, "METHOD_NOT_ALLOWED");
    }),
  );
  server.on("clientError", (error: Error & { code?: string; rawPacket?: Buffer }, socket) =>
    safely(socket, () => {
      const code = codeOfParseError(error);
      const [exchange, ...more] = turns.of(socket);
      // An answer under way must not have bytes of ours run into it, nor a request before this one be answered by it: with
      // requests under way, words are due only when it is the body of the one and only that is broken.
      const isAnswerable = exchange === undefined || (more.length === 0 && !exchange.req.complete && !exchange.res.headersSent);
      // Silence from the start deserves silence.
      const isSilent = "bytesRead" in socket && socket.bytesRead === 0;
      if (code === undefined || isSilent || !isAnswerable) {
        socket.destroy();
        return;
      }
      exchange?.leave();
      refuseRaw(socket, code);
    }),
  );

  let bound: { readonly host: string; readonly port: number };
  try {
    bound = await listen(server, deps.listen, "visitors'");
  } catch (error) {
    certificate?.[Symbol.dispose]();
    throw error;
  }
  server.on("error", (error: Error) => log.error({ reason: error.message }, "the visitors' listener reported an error"));
  return {
    ...bound,
    isSecure: certificate !== undefined,
    connections: () => sockets.size,
    cutBlocked: () => cutVisitors(sockets, turns, deps.isBlocked),
    async close(graceMs) {
      isDraining = true;
      certificate?.[Symbol.dispose]();
      await drainVisitors(server, sockets, turns, graceMs);
    },
  };
}
