/**
 * How every answer leaves, from the app or from the bare socket: the same headers on all of them. CORS is `*` without
 * credentials, errors included; nothing is cached, nothing is sniffed, and the request id is always there (DESIGN.md §4;
 * RFC 9457 for refusals). The headers are made here and not by a middleware of the framework: its CORS middleware touches
 * the request body, which costs a whole undici request.
 */
import { describeProblem, type RefusalCode, refusals } from "@keyhole/core";

/** A status, all headers and the whole body. */
export type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string | null };

/** A refusal as an answer may tell it: facts are members of the problem document. */
export type ToldRefusal = { readonly code: RefusalCode; readonly facts?: Readonly<Record<string, unknown>> };

const requestIdForm = /^[A-Za-z0-9-]{8,64}$/;

/** Takes the id that the edge gave a request, when it has the form of one; only the edge reaches this listener. */
export function parseRequestId(header: string | undefined): string | undefined {
  return header !== undefined && requestIdForm.test(header) ? header : undefined;
}

/** Headers of every answer. */
function deriveCommonHeaders(requestId: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Content-Disposition",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": requestId,
  };
}

/** An answer that is not a refusal. */
export function renderAnswer(
  requestId: string,
  content: { readonly type: string; readonly body: string; readonly headers?: Readonly<Record<string, string>> },
): Answer {
  return {
    status: 200,
    headers: { ...deriveCommonHeaders(requestId), "Content-Type": content.type, ...content.headers },
    body: content.body,
  };
}

/** A refusal as `application/problem+json`, with `Retry-After` where the catalogue says that coming back helps. */
export function renderRefusal(refusal: ToldRefusal, requestId: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const { status, retryAfterSeconds } = refusals[refusal.code];
  return {
    status,
    headers: {
      ...deriveCommonHeaders(requestId),
      "Content-Type": "application/problem+json",
      ...(retryAfterSeconds === undefined ? {} : { "Retry-After": String(retryAfterSeconds) }),
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

/** The answer as a fetch `Response`. */
export function toResponse(answer: Answer): Response {
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}
