/** How every answer of the admin API leaves: JSON that nobody keeps, and refusals as problem documents (RFC 9457). */
import { describeProblem, type Refusal, type RefusalCode, refusals } from "@keyhole/core";
import type { Context } from "hono";
import type { AdminEnv } from "./admin-endpoint.ts";

/** With every 401 (RFC 9110 §15.5.2). */
const challenge = 'Bearer realm="keyhole admin"';

const headersOf = (requestId: string): Record<string, string> => ({
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "X-Request-Id": requestId,
});

/** A status, all headers and the whole body: for those who have no `Context`. */
export function renderAdminRefusal(
  { code, facts = {} }: { readonly code: RefusalCode; readonly facts?: Refusal["facts"] },
  requestId: string,
  more: Readonly<Record<string, string>> = {},
): { readonly status: number; readonly headers: Record<string, string>; readonly body: string } {
  const { status, retryAfterSeconds } = refusals[code];
  return {
    status,
    headers: {
      ...headersOf(requestId),
      "Content-Type": "application/problem+json",
      ...(retryAfterSeconds === undefined ? {} : { "Retry-After": String(retryAfterSeconds) }),
      ...(status === 401 ? { "WWW-Authenticate": challenge } : {}),
      ...more,
    },
    body: JSON.stringify(describeProblem({ code, facts }, requestId)),
  };
}

/** Refuses. */
export function answerRefusal(
  c: Context<AdminEnv>,
  refusal: Parameters<typeof renderAdminRefusal>[0],
  more?: Record<string, string>,
): Response {
  const { status, headers, body } = renderAdminRefusal(refusal, c.get("requestId"), more);
  return new Response(body, { status, headers });
}

/** Answers with JSON. */
export function answerJson(c: Context<AdminEnv>, value: object, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { ...headersOf(c.get("requestId")), "Content-Type": "application/json" } });
}
