/**
 * Service hosts (`<domain>`, `api.<domain>`): the token service behind the edge. No marker: every answer is genuine, and when
 * there is none, the edge says so itself. A token service that is being restarted is waited for: while nobody listens,
 * nothing was sent, so any request may be sent again. Live tunnels do not notice (invariant 7).
 */
import type { RefusalCode } from "@keyhole/core";
import { sendAnswer } from "./answers.ts";
import { classOf, isFailure } from "./edge-stats.ts";
import type { Exchange } from "./exchange.ts";
import type { HoldRoom } from "./hold-room.ts";
import type { Log } from "./log.ts";
import { proxyRequest } from "./proxy-request.ts";
import type { Outcome, Upstream } from "./upstream.ts";

/** A restart takes a second; who still gets no answer after this is told that there is none. */
const maxWaitMs = 3000;
const pauseMs = 50;

export type ServiceDeps = { readonly service: Upstream; readonly serviceRoom: HoldRoom; readonly log: Log };

export async function serveService(exchange: Exchange, headers: readonly string[], deps: ServiceDeps): Promise<void> {
  const { service } = deps;
  let outcome = await askPatiently(exchange, headers, deps);
  // A kept connection that was closed while we wrote to it: once more, where that does no harm.
  if (outcome.kind === "broken" && exchange.isRepeatable && !exchange.isGone) outcome = await askPatiently(exchange, headers, deps);
  const code = codeOf(outcome);
  if (code === undefined) {
    service.counters.requestsTotal.service.proxied += 1;
    return;
  }
  if (!exchange.isGone) service.counters.requestsTotal.service[classOf(code)] += 1;
  if (isFailure(code)) deps.log.debug({ event: "edge.failed", code, requestId: exchange.requestId }, "the token service gave no answer");
  sendAnswer(exchange, code);
}

async function askPatiently(exchange: Exchange, headers: readonly string[], { service, serviceRoom }: ServiceDeps): Promise<Outcome> {
  let outcome = await proxyRequest(exchange, headers, service);
  if (!isAbsent(outcome) || !serviceRoom.take(service.host, exchange.source)) return outcome;
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
  }, maxWaitMs);
  while (isAbsent(outcome) && !isOver) {
    await exchange.pause(pauseMs);
    if (exchange.isGone) break;
    outcome = await proxyRequest(exchange, headers, service);
  }
  clearTimeout(timer);
  serviceRoom.leave(service.host, exchange.source);
  return outcome;
}

function isAbsent(outcome: Outcome): boolean {
  return outcome.kind === "refused" && outcome.isAbsent;
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
