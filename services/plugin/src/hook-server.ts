/**
 * The hook's listener: a raw `node:http` path, because every login waits for it and frps waits without a time-out. What is
 * frps's protocol gets HTTP 200 and a whole decision within a second (invariant 4); what is not gets a 4xx. Doubt and
 * faults are refusals. frps keeps idle connections for 90 s, so ours must live longer, or a login meets a closing socket.
 */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describeProblem, describeReason, Fault, type RefusalCode, refusals } from "@keyhole/core";
import { type HookAnswer, type HookRequest, hookPath, parseHookRequest, renderHookAnswer } from "@keyhole/frp";
import type { Log } from "./log.ts";

/** What the listener needs. */
export type HookServerDeps = {
  readonly answer: (request: HookRequest, requestId: string) => Promise<HookAnswer>;
  /** A refusal at NewProxy that was not the operation's own must be followed by a kick too. */
  readonly refuseUnexpected: (request: HookRequest | undefined) => void;
  readonly user: string;
  readonly password: string;
  readonly log: Log;
  readonly count: (op: string, result: string) => void;
};

/** The running listener. */
export type HookServer = AsyncDisposable & { readonly port: number };

/** frps's frames are at most 64 KiB before JSON escaping. */
const maxBodyBytes = 96 * 1024;
const bodyTimeoutMs = 5000;
const answerTimeoutMs = 950;

/** Makes the request listener, without a port. */
function createHookListener(deps: HookServerDeps): (request: IncomingMessage, response: ServerResponse) => void {
  const expected = Buffer.from(`Basic ${Buffer.from(`${deps.user}:${deps.password}`).toString("base64")}`);

  function isFrps(header: string | undefined): boolean {
    const given = Buffer.from(header ?? "");
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  function reject(
    request: IncomingMessage,
    response: ServerResponse,
    code: RefusalCode,
    requestId: string,
    headers: Record<string, string> = {},
  ): void {
    deps.count("none", code);
    const { status } = refusals[code];
    const isBodyLeft = !request.complete;
    response.writeHead(status, {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      ...headers,
      ...(isBodyLeft ? { Connection: "close" } : {}),
    });
    response.end(JSON.stringify(describeProblem({ code }, requestId)), () => {
      if (isBodyLeft) request.destroy();
    });
  }

  function reply(response: ServerResponse, answer: HookAnswer): void {
    const body = renderHookAnswer(answer);
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length });
    response.end(body);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = readRequestId(request.headers["x-frp-reqid"]);
    if (!isFrps(request.headers.authorization))
      return reject(request, response, "HOOK_UNAUTHORIZED", requestId, { "WWW-Authenticate": "Basic" });
    // Not `new URL`: it throws for targets like `//`, and frps sends none of them.
    const [path, query = ""] = (request.url ?? "").split("?", 2);
    if (path !== hookPath) return reject(request, response, "NOT_FOUND", requestId);
    if (request.method !== "POST") return reject(request, response, "METHOD_NOT_ALLOWED", requestId, { Allow: "POST" });
    const text = await readBody(request);
    if (typeof text !== "string") return reject(request, response, text.code, requestId);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return reject(request, response, "BODY_NOT_JSON", requestId);
    }
    const parsed = parseHookRequest(new URLSearchParams(query).get("op"), body);
    if (parsed.kind === "not-frps") return reject(request, response, "OP_UNEXPECTED", requestId);
    if (parsed.kind === "malformed") {
      deps.count(parsed.op, "malformed");
      deps.log.info({ event: "hook.malformed", op: parsed.op, field: parsed.field, requestId }, "a hook call has a field of a wrong form");
      const code = parsed.op === "Login" ? "LOGIN_MALFORMED" : "PROXY_MALFORMED";
      return reply(response, parsed.op === "CloseProxy" ? { kind: "keep" } : { kind: "refuse", reason: describeReason(code) });
    }
    const result = await decide(parsed.request, requestId);
    deps.count(parsed.request.op, result.kind);
    reply(response, result);
  }

  /** Never rejects and never takes longer than its deadline. */
  async function decide(request: HookRequest, requestId: string): Promise<HookAnswer> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error("the hook's own deadline passed")), answerTimeoutMs);
    });
    try {
      return await Promise.race([deps.answer(request, requestId), deadline]);
    } catch (cause) {
      const code = cause instanceof Fault && cause.code === "STORE_UNAVAILABLE" ? "STORE_UNAVAILABLE" : "INTERNAL_ERROR";
      deps.log.error(
        { event: "hook.fault", op: request.op, requestId, code, cause: String(cause) },
        "a hook call could not be decided, so it is refused",
      );
      deps.refuseUnexpected(request);
      return { kind: "refuse", reason: describeReason(code) };
    } finally {
      clearTimeout(timer);
    }
  }

  return (request, response) => {
    answer(request, response).catch((cause: unknown) => {
      deps.log.error({ event: "hook.fault", cause: String(cause) }, "a hook call failed");
      if (response.headersSent) response.destroy();
      else reply(response, { kind: "refuse", reason: describeReason("INTERNAL_ERROR") });
    });
  };
}

/** Serves the listener on loopback. Throws `Fault("PORT_BUSY")` when somebody else has the port. */
export async function startHookServer(deps: HookServerDeps & { readonly host: string; readonly port: number }): Promise<HookServer> {
  const server: Server = createServer(
    { keepAliveTimeout: 95_000, headersTimeout: 10_000, requestTimeout: 15_000, noDelay: true },
    createHookListener(deps),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        cause.code === "EADDRINUSE"
          ? new Fault("PORT_BUSY", `The hook's port ${deps.host}:${deps.port} is in use; free it or set [plugin] listen to another one.`, {
              cause,
            })
          : cause,
      );
    });
    server.listen({ host: deps.host, port: deps.port, backlog: 4096 }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), 1000);
      await closed;
      clearTimeout(force);
    },
  };
}

/** frp's own id of the call, if it looks like one. */
const readRequestId = (header: string | string[] | undefined): string =>
  typeof header === "string" && /^[0-9a-zA-Z-]{1,64}$/.test(header) ? header : "none";

async function readBody(
  request: IncomingMessage,
): Promise<string | { readonly code: "BODY_TOO_LARGE" | "BODY_TIMEOUT" | "BODY_NOT_JSON" }> {
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return { code: "BODY_TOO_LARGE" };
  return await new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => finish({ code: "BODY_TIMEOUT" }), bodyTimeoutMs);
    const finish = (result: string | { readonly code: "BODY_TOO_LARGE" | "BODY_TIMEOUT" | "BODY_NOT_JSON" }): void => {
      clearTimeout(timer);
      request.off("data", take);
      resolve(result);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > maxBodyBytes) finish({ code: "BODY_TOO_LARGE" });
      else chunks.push(chunk);
    };
    request.on("data", take);
    request.once("end", () => finish(Buffer.concat(chunks).toString("utf8")));
    request.once("error", () => finish({ code: "BODY_NOT_JSON" }));
    request.once("aborted", () => finish({ code: "BODY_NOT_JSON" }));
  });
}
