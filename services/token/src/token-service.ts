/**
 * The listener of the token service: Node's HTTP server with deadlines, in front of the app. It is reached through the
 * edge, and trusts nothing for that: what is not a well-formed request gets a problem document as everything else does,
 * and one that is slow is ended. Keep-alive is longer than the edge's own, so that the edge never writes into a
 * connection that is just being closed.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { Fault, type RefusalCode } from "@keyhole/core";
import { renderRefusal, toResponse } from "./answer.ts";
import { describeCause } from "./cause-description.ts";
import { codeOfClientError, findRequestFlaw, sendRefusal, writeRefusal } from "./raw-answer.ts";
import type { Log } from "./token-app-deps.ts";

/** What is served, and where. */
export type TokenServiceOptions = {
  /** The app of `createTokenApp`. */
  readonly app: {
    fetch(request: Request, env: object): Response | Promise<Response>;
    /** Takes what needs no framework, and says whether it did. */
    answerDirectly?(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
  };
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  /** A listening socket that somebody else holds, in place of host and port: connections wait in it while we are restarted. */
  readonly fd?: number;
  /** For answers to what never reaches the app. */
  newRequestId(): string;
  /** Remembers what was refused before it reached the app. Never throws. */
  readonly noteRefusal: (code: RefusalCode, label: undefined) => void;
  readonly log: Log;
  /** For tests; production uses the defaults: headers 10 s, whole request 15 s, idle 95 s, in-flight at stop 1 s, idle at stop 0.5 s. */
  readonly deadlines?: {
    readonly headersMs?: number;
    readonly requestMs?: number;
    readonly keepAliveMs?: number;
    readonly stopMs?: number;
    readonly idleStopMs?: number;
  };
};

/** A running listener. */
export type TokenService = {
  readonly url: string;
  readonly port: number;
  /**
   * Takes no new connection, serves those that are there for half a second more (a request may be on its way in them) with
   * `Connection: close`, gives requests in flight one second, closes everything. One promise for all callers.
   */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts to listen. Throws `Fault("PORT_BUSY")` naming the address when somebody else listens there. */
export async function startTokenService(options: TokenServiceOptions): Promise<TokenService> {
  const { app, host, log, newRequestId, noteRefusal, deadlines } = options;
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    // One process may hold the edge as well: its fetch must stay what Node made it.
    overrideGlobalObjects: false,
    // For HTTP/1.0 without Host, as health checks of load balancers send it.
    hostname: "localhost",
    // A Host or target that is no URL throws before the app is asked. Nothing else gets past the app's own error hook.
    errorHandler: (error) => {
      const requestId = newRequestId();
      const code = error instanceof RequestError ? "REQUEST_MALFORMED" : "INTERNAL_ERROR";
      if (code === "INTERNAL_ERROR") log.error({ code, requestId, cause: describeCause(error) }, "request failed");
      noteRefusal(code, undefined);
      return toResponse(renderRefusal({ code }, requestId));
    },
  });
  let stopping: Promise<void> | undefined;
  const inFlight = new Map<Duplex, { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse }>();
  const refused = new WeakSet<Duplex>();
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming;
    const request = { incoming, outgoing };
    if (stopping !== undefined) outgoing.shouldKeepAlive = false;
    inFlight.set(socket, request);
    outgoing.once("close", () => {
      if (inFlight.get(socket) === request) inFlight.delete(socket);
    });
    const flaw = findRequestFlaw(incoming);
    if (flaw === undefined) return app.answerDirectly?.(incoming, outgoing) === true ? undefined : void answer(incoming, outgoing);
    log.debug({ code: flaw }, "request refused");
    sendRefusal(outgoing, flaw, newRequestId());
    noteRefusal(flaw, undefined);
  };
  const refuseSocket = (error: Error, socket: Duplex) => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const request = inFlight.get(socket);
    // Rubbish behind a whole request: that one's answer goes first, and is the last.
    if (request?.incoming.complete === true && socket.writable) return void request.outgoing.once("close", () => socket.destroy());
    if (!socket.writable || request?.outgoing.headersSent === true || isGone(error)) return void socket.destroy();
    const code = codeOfClientError(error);
    log.debug({ code }, "request refused");
    writeRefusal(socket, code, newRequestId());
    noteRefusal(code, undefined);
  };
  const server = createServer(
    {
      headersTimeout: deadlines?.headersMs ?? 10_000,
      requestTimeout: deadlines?.requestMs ?? 15_000,
      keepAliveTimeout: deadlines?.keepAliveMs ?? 95_000,
      // Deadlines are only looked at this often; Node's own default is 30 s.
      connectionsCheckingInterval: Math.min(1000, deadlines?.headersMs ?? 1000),
      // Ours to refuse: Node's answer has no body.
      requireHostHeader: false,
    },
    serve,
  );
  server.on("clientError", refuseSocket);
  server.on("checkExpectation", serve);
  server.on("checkContinue", (incoming, outgoing) => {
    // Behind a request that is not answered yet nothing may be written: Node would put it into the middle of an answer.
    if (outgoing.socket !== null) outgoing.writeContinue();
    serve(incoming, outgoing);
  });
  server.on("connect", (_incoming, socket: Duplex) => {
    writeRefusal(socket, "REQUEST_MALFORMED", newRequestId());
    noteRefusal("REQUEST_MALFORMED", undefined);
  });
  const port = await listen(server, options);
  server.on("error", (error) => log.error({ cause: describeCause(error) }, "listener failed"));
  const stop = () => {
    stopping ??= close(server, inFlight, { stopMs: deadlines?.stopMs ?? 1000, idleStopMs: deadlines?.idleStopMs ?? 500 });
    return stopping;
  };
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, port, stop, [Symbol.asyncDispose]: stop };
}

const isGone = (error: Error & { readonly code?: string }) => error.code === "ECONNRESET" || error.code === "EPIPE";

function listen(server: Server, { host, port, fd }: TokenServiceOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error & { readonly code?: string }) => {
      const isBusy = error.code === "EADDRINUSE";
      const advice = "stop what listens there, or set [token] listen to another port";
      if (fd !== undefined) {
        const sentence = `Descriptor ${fd} was handed over as the token service's socket, and is no listening TCP socket (${error.code}).`;
        reject(new Fault("PORT_BUSY", sentence, { cause: error }));
      } else reject(isBusy ? new Fault("PORT_BUSY", `${host}:${port} is in use: ${advice}.`, { cause: error }) : error);
    };
    server.once("error", onError);
    server.listen({ ...(fd === undefined ? { host, port } : { fd }), backlog: 1024 }, () => {
      server.off("error", onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function close(
  server: Server,
  inFlight: ReadonlyMap<Duplex, { readonly outgoing: ServerResponse }>,
  { stopMs, idleStopMs }: { readonly stopMs: number; readonly idleStopMs: number },
): Promise<void> {
  // Not http's own close: it ends at once every connection that has not received a request yet, though its bytes may be on the way.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  for (const { outgoing } of inFlight.values()) outgoing.shouldKeepAlive = false;
  await Promise.race([closed, passed(idleStopMs)]);
  server.closeIdleConnections();
  const pending = [...inFlight.values()].map(
    ({ outgoing }) =>
      new Promise<void>((resolve) => {
        if (outgoing.writableFinished || outgoing.destroyed) resolve();
        else outgoing.once("close", () => resolve());
      }),
  );
  await Promise.race([closed, Promise.all(pending), passed(stopMs)]);
  server.closeAllConnections();
  await closed;
}

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
