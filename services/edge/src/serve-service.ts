/**
 * Service hosts (`<domain>`, `api.<domain>`): the token service behind the edge. No marker and no hold; every answer is
 * genuine, and when there is none, the edge says so itself. Live tunnels do not notice (invariant 7).
 */
import type { RefusalCode } from "@keyhole/core";
import { sendAnswer } from "./answers.ts";
import { classOf } from "./edge-stats.ts";
import type { Exchange } from "./exchange.ts";
import { proxyRequest } from "./proxy-request.ts";
import type { Outcome, Upstream } from "./upstream.ts";

export async function serveService(exchange: Exchange, headers: readonly string[], service: Upstream): Promise<void> {
  let outcome = await proxyRequest(exchange, headers, service);
  // A kept connection that was closed while we wrote to it: once more, where that does no harm.
  if (outcome.kind === "broken" && exchange.isRepeatable && !exchange.isGone) outcome = await proxyRequest(exchange, headers, service);
  const code = codeOf(outcome);
  if (code === undefined) {
    service.counters.requestsTotal.proxied += 1;
    return;
  }
  if (!exchange.isGone) service.counters.requestsTotal[classOf(code)] += 1;
  sendAnswer(exchange, code);
}

function codeOf(outcome: Outcome): RefusalCode | undefined {
  switch (outcome.kind) {
    case "answered":
      return undefined;
    case "unfit":
      return "REQUEST_MALFORMED";
    case "stalled":
      return "REQUEST_TIMEOUT";
    default:
      return "SERVICE_UNAVAILABLE";
  }
}
