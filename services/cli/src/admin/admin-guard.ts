/**
 * Who may pass at the admin port: whoever shows the key, from this machine, and no browser. A web page in an operator's
 * browser can reach loopback: by its own name that it points here (so `Host` must be loopback's), or across origins (so
 * what browsers alone send, `Origin` and `Sec-Fetch-Site`, is refused before anything is looked at).
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createRateLimiter, type Refusal, refuse } from "@keyhole/core";

/** Why a request is not let in; undefined when it is. `retryAfterSeconds` where coming back helps. */
export type JudgeRequest = (
  incoming: Pick<IncomingMessage, "url" | "headers" | "rawHeaders" | "socket">,
) => (Refusal & { readonly retryAfterSeconds?: number }) | undefined;

/** Wrong keys from one address in a minute. Then none is looked at, the right one neither. */
const failedTries = 10;
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?$/i;
const onlyBrowsersSend = ["origin", "sec-fetch-site"] as const;

/** Makes the judge. */
export function createAdminGuard({ key, now }: { readonly key: string; readonly now: () => Date }): JudgeRequest {
  const wanted = digest(key);
  const failures = createRateLimiter({ count: failedTries, perSeconds: 60 }, 1000);
  return ({ url = "", headers, rawHeaders, socket }) => {
    if (!url.startsWith("/") || countOf(rawHeaders, "host") !== 1 || countOf(rawHeaders, "authorization") > 1)
      return refuse("REQUEST_MALFORMED").refusal;
    if (!loopbackHost.test(headers.host ?? "")) return refuse("HOST_NOT_SERVED").refusal;
    if (onlyBrowsersSend.some((name) => headers[name] !== undefined)) return refuse("ADMIN_FROM_BROWSER").refusal;
    // Who sends none has not tried one.
    if (headers.authorization === undefined) return refuse("ADMIN_UNAUTHORIZED").refusal;
    const from = socket.remoteAddress ?? "";
    const { isAllowed, retryAfterSeconds } = failures.look(from, now());
    if (!isAllowed) return { ...refuse("RATE_LIMITED", { limit: "failed-keys" }).refusal, retryAfterSeconds };
    const [, shown] = /^Bearer +(\S+)$/i.exec(headers.authorization) ?? [];
    if (shown !== undefined && timingSafeEqual(digest(shown), wanted)) return undefined;
    failures.take(from, now());
    return refuse("ADMIN_UNAUTHORIZED").refusal;
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const countOf = (rawHeaders: readonly string[], name: string): number =>
  rawHeaders.filter((each, index) => index % 2 === 0 && each.toLowerCase() === name).length;
