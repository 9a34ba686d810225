/**
 * How every answer leaves, from the app or from the bare socket: the same headers on all of them. CORS is `*` without
 * credentials, errors included; nothing is cached unless it says so, nothing is sniffed, and the request id is always there (DESIGN.md §4;
 * RFC 9457 for refusals). The headers are made here and not by a middleware of the framework: its CORS middleware touches
 * the request body, which costs a whole undici request.
 */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { describeProblem, type RefusalCode, refusals } from "@keyhole/core";

/** A status, all headers and the whole body. */
export type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string | null };

/** A refusal as an answer may tell it: facts are members of the problem document. */
export type ToldRefusal = {
  readonly code: RefusalCode;
  readonly facts?: Readonly<Record<string, unknown>>;
  /** For `Retry-After`, where more is known than what the catalogue says. */
  readonly retryAfterSeconds?: number;
};

/** With every 401 (RFC 9110 §15.5.2): a credential was sent, and it is none (RFC 6750 §3). */
const challenge = 'Bearer realm="keyhole", error="invalid_token"';

const requestIdForm = /^[A-Za-z0-9-]{8,64}$/;

/** Takes the id that the edge gave a request, when it has the form of one; only the edge reaches this listener. */
export function parseRequestId(header: string | undefined): string | undefined {
  return header !== undefined && requestIdForm.test(header) ? header : undefined;
}

/** Headers of every answer. */
function deriveCommonHeaders(requestId: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Content-Disposition, WWW-Authenticate",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": requestId,
  };
}

/** An answer that is not a refusal. */
export function renderAnswer(
  requestId: string,
  content: {
    readonly type: string;
    readonly body: string;
    readonly headers?: Readonly<Record<string, string>>;
    /** 200 when absent. */
    readonly status?: number;
  },
): Answer {
  return {
    status: content.status ?? 200,
    headers: { ...deriveCommonHeaders(requestId), "Content-Type": content.type, ...content.headers },
    body: content.body,
  };
}

/** A refusal as `application/problem+json`, with `Retry-After` where the catalogue says that coming back helps. */
export function renderRefusal(refusal: ToldRefusal, requestId: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const { status, retryAfterSeconds: usual } = refusals[refusal.code];
  const retryAfterSeconds = refusal.retryAfterSeconds ?? usual;
  return {
    status,
    headers: {
      ...deriveCommonHeaders(requestId),
      "Content-Type": "application/problem+json",
      ...(retryAfterSeconds === undefined ? {} : { "Retry-After": String(retryAfterSeconds) }),
      ...(status === 401 ? { "WWW-Authenticate": challenge } : {}),
      ...headers,
    },
    body: JSON.stringify(describeProblem(refusal, requestId)),
  };
}

/** The answer to a preflight. It is the same for every path, so that a browser may also read our 404 and 405. */
export function renderPreflight(requestId: string): Answer {
  return {
    status: 204,
    headers: {
      ...deriveCommonHeaders(requestId),
      Allow: "GET, HEAD, POST, OPTIONS",
      "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
      "Access-Control-Allow-Headers": "content-type, accept, authorization, idempotency-key",
      "Access-Control-Max-Age": "86400",
    },
    body: null,
  };
}

/** What of a request's context sending needs: Node's own response on a listener, nothing when the app is called without a port. */
type Asked = { readonly env?: { readonly outgoing?: unknown } | undefined };

/**
 * Sends the answer. On a listener it goes out by Node's own response, in one write: a fetch `Response` with a body is a
 * stream with a reader and a second set of headers, which cost a request more than the rest of the framework.
 */
export function respond(c: Asked, answer: Answer): Response {
  const outgoing = c.env?.outgoing as ServerResponse | undefined;
  if (outgoing === undefined) return toResponse(answer);
  // What broke after the answer has left can only be logged.
  if (!outgoing.headersSent) sendAnswer(outgoing, answer);
  return RESPONSE_ALREADY_SENT;
}

/** Writes the answer with Node's own response. */
export function sendAnswer(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  if (body === null) return void outgoing.writeHead(status, headers).end();
  const length = Buffer.byteLength(body);
  outgoing.writeHead(status, { ...headers, "Content-Length": length });
  // A byte a character: it is ASCII, which goes out as it lies in memory.
  outgoing.end(body, length === body.length ? "latin1" : "utf8");
}

/** The answer as a fetch `Response`. */
export function toResponse(answer: Answer): Response {
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}
