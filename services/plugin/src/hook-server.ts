/**
 * The hook's listener: a raw `node:http` path, because every login waits for it and frps waits without a time-out. What is
 * frps's protocol gets HTTP 200 and a whole decision within a second (invariant 4); what is not gets a 4xx. Doubt and
 * faults are refusals. frps keeps idle connections for 90 s, so ours must live longer, or a login meets a closing socket.
 */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describeProblem, Fault, type RefusalCode, refusals, refuse } from "@keyhole/core";
import { type HookAnswer, type HookRequest, hookPath, parseHookRequest, renderHookAnswer } from "@keyhole/frp";
import type { TimeLeft } from "./answer-time.ts";
import { createDeadline, type Deadline } from "./deadline.ts";
import type { Log } from "./log.ts";
import type { PluginRecorder } from "./plugin-figures.ts";
import type { RefusalAnswers } from "./refusal-answers.ts";

/** The ids of one call, for the log: our own, and the one that frps wrote into its own log. */
export type CallIds = { readonly requestId: string; readonly frpRequestId: string };

/** What the listener needs. */
export type HookServerDeps = {
  /** `left`: of the time after which the listener refuses by itself. */
  readonly answer: (request: HookRequest, ids: CallIds, left: TimeLeft) => Promise<HookAnswer>;
  /** A refusal at NewProxy that was not the operation's own must be followed by a kick too. */
  readonly refuseUnexpected: (request: HookRequest | undefined) => void;
  readonly user: string;
  readonly password: string;
  readonly newRequestId: () => string;
  readonly log: Log;
  readonly refusals: RefusalAnswers;
  readonly recorder: Pick<PluginRecorder, "call" | "answered" | "monotonicMs">;
};

/** One call: its ids, and when its head was there, by the monotonic clock. */
type Call = { readonly ids: CallIds; readonly startedMs: number };

/** The running listener. */
export type HookServer = AsyncDisposable & { readonly port: number };

/** frps's frames are at most 64 KiB before JSON escaping. */
const maxBodyBytes = 96 * 1024;
const bodyTimeoutMs = 5000;
/** With the clock's tenth it is 935 ms at most. */
const answerTimeoutMs = 850;

type BodyFailure = "BODY_TOO_LARGE" | "BODY_TIMEOUT" | "BODY_INVALID_JSON";

/** Makes the request listener, without a port. */
function createHookListener(deps: HookServerDeps): (request: IncomingMessage, response: ServerResponse) => void {
  const { recorder } = deps;
  const expected = Buffer.from(`Basic ${Buffer.from(`${deps.user}:${deps.password}`).toString("base64")}`);
  const bodyDeadline = createDeadline(bodyTimeoutMs);
  const answerDeadline = createDeadline(answerTimeoutMs);

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
    recorder.call("none", code);
    deps.refusals.count(code);
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
    // Byte for byte the same as the buffer, in one write with the head.
    response.end(body.toString("latin1"), "latin1");
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const startedMs = recorder.monotonicMs();
    const ids = { requestId: deps.newRequestId(), frpRequestId: readFrpRequestId(request.headers["x-frp-reqid"]) };
    const { requestId } = ids;
    if (!isFrps(request.headers.authorization))
      return void reject(request, response, "HOOK_UNAUTHORIZED", requestId, { "WWW-Authenticate": "Basic" });
    // Not `new URL`: it throws for targets like `//`, and frps sends none of them.
    const target = request.url ?? "";
    const pathEnd = target.indexOf("?");
    if ((pathEnd < 0 ? target : target.slice(0, pathEnd)) !== hookPath) return void reject(request, response, "NOT_FOUND", requestId);
    if (request.method !== "POST") return void reject(request, response, "METHOD_NOT_ALLOWED", requestId, { Allow: "POST" });
    readBody(
      request,
      bodyDeadline,
      guard(response, (failure, text) => {
        if (failure !== undefined) return void reject(request, response, failure, requestId);
        answerBody(request, response, readOp(target.slice(pathEnd + 1)), text, { ids, startedMs });
      }),
    );
  }

  function answerBody(request: IncomingMessage, response: ServerResponse, op: string, text: string, call: Call): void {
    const { requestId } = call.ids;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return void reject(request, response, "BODY_INVALID_JSON", requestId);
    }
    const parsed = parseHookRequest(op, body);
    if (parsed.kind === "op-mismatch") return void reject(request, response, "OP_MISMATCH", requestId);
    if (parsed.kind === "not-frps") return void reject(request, response, "OP_UNEXPECTED", requestId);
    if (parsed.kind === "malformed") {
      recorder.call(parsed.op, "malformed");
      recorder.answered(parsed.op, call.startedMs);
      deps.log.info(
        { event: "hook.malformed", op: parsed.op, field: parsed.field, ...call.ids },
        "a hook call has a field of a wrong form",
      );
      if (parsed.op === "CloseProxy") return void reply(response, { kind: "keep" });
      const code = parsed.op === "Login" ? "LOGIN_MALFORMED" : "PROXY_MALFORMED";
      return void reply(response, deps.refusals.answer(refuse(code, { field: parsed.field }).refusal));
    }
    decide(parsed.request, response, call);
  }

  /** One answer, never later than the deadline: whichever comes first of the decision, a fault and the clock. */
  function decide(request: HookRequest, response: ServerResponse, { ids, startedMs }: Call): void {
    let isAnswered = false;
    const settle = (result: HookAnswer): void => {
      if (isAnswered) return;
      isAnswered = true;
      call.finish();
      recorder.call(request.op, result.kind);
      recorder.answered(request.op, startedMs);
      reply(response, result);
    };
    const fail = guard(response, (cause: unknown): void => {
      if (isAnswered) return;
      const code = cause instanceof Fault && cause.code === "STORE_UNAVAILABLE" ? "STORE_UNAVAILABLE" : "INTERNAL_ERROR";
      deps.log.error(
        { event: "hook.fault", op: request.op, ...ids, code, cause: String(cause) },
        "a hook call could not be decided, so it is refused",
      );
      deps.refuseUnexpected(request);
      settle(deps.refusals.answer(refuse(code).refusal));
    });
    const call = answerDeadline.start(() => fail(new Error("the hook's own deadline passed")));
    deps.answer(request, ids, call.leftMs).then(settle).catch(fail);
  }

  /** Whatever is thrown in a callback is a refusal too: nobody else would answer. */
  function guard<Arguments extends readonly unknown[]>(
    response: ServerResponse,
    work: (...given: Arguments) => void,
  ): (...given: Arguments) => void {
    return (...given) => {
      try {
        work(...given);
      } catch (cause) {
        deps.log.error({ event: "hook.fault", cause: String(cause) }, "a hook call failed");
        if (response.headersSent) response.destroy();
        else reply(response, deps.refusals.answer(refuse("INTERNAL_ERROR").refusal));
      }
    };
  }

  return (request, response) => guard(response, () => answer(request, response))();
}

/** Serves the listener on loopback. Throws `Fault("PORT_BUSY")` when somebody else has the port. */
export async function startHookServer(
  deps: HookServerDeps & { readonly host: string; readonly port: number; readonly fd?: number },
): Promise<HookServer> {
  const server: Server = createServer(
    { keepAliveTimeout: 95_000, headersTimeout: 10_000, requestTimeout: 15_000, noDelay: true },
    createHookListener(deps),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const sentence =
        deps.fd === undefined
          ? `The hook's port ${deps.host}:${deps.port} cannot be had (${cause.code}); free it or set [plugin] listen to another one.`
          : `Descriptor ${deps.fd} was handed over as the hook's socket, and is no listening TCP socket (${cause.code}).`;
      reject(new Fault("PORT_BUSY", sentence, { cause }));
    });
    server.listen({ ...(deps.fd === undefined ? { host: deps.host, port: deps.port } : { fd: deps.fd }), backlog: 4096 }, resolve);
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
const readFrpRequestId = (header: string | string[] | undefined): string =>
  typeof header === "string" && /^[0-9a-zA-Z-]{1,64}$/.test(header) ? header : "none";

/** The value of `op` in frps's query (`version=0.1.0&op=Login`); its names are letters, so nothing is decoded. */
function readOp(query: string): string {
  for (const part of query.split("&")) if (part.startsWith("op=")) return part.slice(3);
  return "";
}

function readBody(request: IncomingMessage, deadline: Deadline, done: (failure: BodyFailure | undefined, text: string) => void): void {
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return void done("BODY_TOO_LARGE", "");
  let chunks: Buffer[] | undefined = [];
  let length = 0;
  const finish = (failure: BodyFailure | undefined): void => {
    if (chunks === undefined) return;
    const [first] = chunks;
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    chunks = undefined;
    call.finish();
    request.off("data", take);
    done(failure, failure === undefined ? body.toString("utf8") : "");
  };
  const take = (chunk: Buffer): void => {
    length += chunk.length;
    if (length > maxBodyBytes) finish("BODY_TOO_LARGE");
    else chunks?.push(chunk);
  };
  const call = deadline.start(() => finish("BODY_TIMEOUT"));
  request.on("data", take);
  request.once("end", () => finish(undefined));
  request.once("error", () => finish("BODY_INVALID_JSON"));
  request.once("aborted", () => finish("BODY_INVALID_JSON"));
}
