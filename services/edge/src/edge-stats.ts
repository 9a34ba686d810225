/**
 * What the edge counts (frps counts a connection only when it closes, so requests and bytes are counted here). Totals only
 * rise; a metrics page reads them.
 */
import { createHistogram, type Histogram, type RefusalCode } from "@keyhole/core";
import type { Exchange } from "./exchange.ts";

/** Whom a request was for: a label, one of our own hosts, or nobody, because its form or its host was refused. */
export type RequestClass = "tunnel" | "service" | "none";

/** How a visitor's request ended, as one of five classes. */
export type OutcomeClass = "proxied" | "offline" | "unreachable" | "timeout" | "refused";

export type EdgeCounters = {
  readonly requestsTotal: Readonly<Record<RequestClass, Record<OutcomeClass, number>>>;
  /** From a request's parsed head to the moment at which frps or the token service is asked first. */
  readonly overheadSeconds: Histogram;
  /** From a request's parsed head to the head of the app's or the token service's answer. */
  readonly firstByteSeconds: Histogram;
  /** Milliseconds from some moment on; never backwards. */
  readonly monotonicMs: () => number;
  /** Body bytes of visitors' requests and of answers, and the bytes of WebSockets. */
  bytesInTotal: number;
  bytesOutTotal: number;
};

/** A request costs the edge about a tenth of a millisecond; what is held for a hand-over, up to 3 s. */
const overheadBounds = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 3];
const firstByteBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

export function createEdgeCounters(monotonicMs: () => number): EdgeCounters {
  const outcomes = (): Record<OutcomeClass, number> => ({ proxied: 0, offline: 0, unreachable: 0, timeout: 0, refused: 0 });
  return {
    requestsTotal: { tunnel: outcomes(), service: outcomes(), none: outcomes() },
    overheadSeconds: createHistogram(overheadBounds),
    firstByteSeconds: createHistogram(firstByteBounds),
    monotonicMs,
    bytesInTotal: 0,
    bytesOutTotal: 0,
  };
}

/** The request goes to frps or the token service; a second attempt is not counted. */
export function countAsked(counters: EdgeCounters, exchange: Exchange): void {
  if (exchange.isAsked) return;
  exchange.isAsked = true;
  counters.overheadSeconds.observe((counters.monotonicMs() - exchange.arrivedMs) / 1000);
}

/** The head of the answer is there and goes to the visitor. */
export function countAnswered(counters: EdgeCounters, exchange: Exchange): void {
  counters.firstByteSeconds.observe((counters.monotonicMs() - exchange.arrivedMs) / 1000);
}

/** Somebody behind the edge failed: what an operator looks for by the id that a visitor quotes. */
export function isFailure(code: RefusalCode): boolean {
  const outcome = classOf(code);
  return outcome === "unreachable" || outcome === "timeout";
}

/** The class that a refusal of ours belongs to. */
export function classOf(code: RefusalCode): OutcomeClass {
  switch (code) {
    case "TUNNEL_OFFLINE":
    case "HANDOVER_IN_PROGRESS":
      return "offline";
    case "APP_UNREACHABLE":
    case "SERVICE_UNAVAILABLE":
      return "unreachable";
    case "APP_TIMEOUT":
      return "timeout";
    default:
      return "refused";
  }
}
