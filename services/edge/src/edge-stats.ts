/**
 * What the edge counts (frps counts a connection only when it closes, so requests and bytes are counted here). Totals only
 * rise; a metrics page reads them.
 */
import type { RefusalCode } from "@keyhole/core";

/** How a visitor's request ended, as one of five classes. */
export type OutcomeClass = "proxied" | "offline" | "unreachable" | "timeout" | "refused";

export type EdgeCounters = {
  readonly requestsTotal: Record<OutcomeClass, number>;
  /** Body bytes of visitors' requests and of answers, and the bytes of WebSockets. */
  bytesInTotal: number;
  bytesOutTotal: number;
};

export function createEdgeCounters(): EdgeCounters {
  return {
    requestsTotal: { proxied: 0, offline: 0, unreachable: 0, timeout: 0, refused: 0 },
    bytesInTotal: 0,
    bytesOutTotal: 0,
  };
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
