/**
 * In which of six states a label is, and why it is not served: derived from what the hook said, what frps's dashboard
 * showed, and what the edge last saw answered. Nothing is remembered between two questions, so nothing can be left over
 * from a session that is gone. Who says what, and which rule wins, is a table in services/plugin/README.md.
 */
import type { EdgeFailure } from "./door.ts";
import type { SessionEnd } from "./store.ts";

/**
 * `admitted`: logged in, no proxy yet. `connected`: its proxy is registered, but requests do not reach its app.
 * `routable`: as far as anybody can tell they do. `handing-over`: its holder was displaced and the newcomer has not connected
 * yet. `closing`: evicted, and its client may still be there.
 */
export type TunnelState = "offline" | "admitted" | "connected" | "routable" | "handing-over" | "closing";

/** Why a label is not connected. */
export const disconnectedReasons = [
  "NEVER_SEEN",
  "CLOSED",
  "LOST",
  "DISPLACED",
  "EXPIRED",
  "EVICTED",
  "BLOCKED",
  "CONNECTING",
  "HANDING_OVER",
  "SERVER_AWAY",
] as const;
/** One of `disconnectedReasons`. */
export type DisconnectedReason = (typeof disconnectedReasons)[number];

/** Why a label that is connected does not count as routable. */
export const unroutableReasons = [
  "APP_UNREACHABLE",
  "APP_TIMEOUT",
  "CLIENT_LOST",
  "NOT_SHOWN",
  "SERVER_UNREACHABLE",
  "SERVER_SILENT",
  "EDGE_AWAY",
  "UNKNOWN",
] as const;
/** One of `unroutableReasons`. */
export type UnroutableReason = (typeof unroutableReasons)[number];

/** What is known about a label at one moment. */
export type TunnelFacts = {
  readonly now: Date;
  /** When frps's dashboard was last read; undefined: not yet by this process. */
  readonly lookedAt: Date | undefined;
  /** False when nobody listened on the dashboard's port then. */
  readonly isFrpsThere: boolean;
  readonly isBlocked: boolean;
  /** Its holder was displaced, and nobody has taken the label up since. */
  readonly isHandingOver: boolean;
  /** An evicted client of it may still be there. */
  readonly isLeaving: boolean;
  /** The session that lives; undefined from the moment in which the hook, the dashboard or we said that it has ended. */
  readonly session: { readonly connectedAt: Date | undefined; readonly seenAt: Date | undefined } | undefined;
  /** How the newest session ended; undefined when there was none, or nobody recorded its end. */
  readonly formerEnd: SessionEnd | undefined;
  readonly wasEverSeen: boolean;
  /** When the edge last told what it saw; undefined: not yet. */
  readonly edgeHeardAt: Date | undefined;
  /** What the edge saw last of this label; `failure` undefined: its app answered. */
  readonly evidence: { readonly at: Date; readonly failure: EdgeFailure | undefined } | undefined;
};

/** What follows from the facts. `reason` is undefined exactly when the label is routable, and then nothing is stale. */
export type TunnelJudgement =
  | {
      readonly status: "connected";
      readonly state: Extract<TunnelState, "connected" | "routable">;
      readonly connectedSince: Date;
      readonly isStale: boolean;
      readonly reason: UnroutableReason | undefined;
    }
  | {
      readonly status: "disconnected";
      readonly state: Exclude<TunnelState, "connected" | "routable">;
      readonly isStale: boolean;
      readonly reason: DisconnectedReason;
    };

/** How old the dashboard's word may be before what we say is stale, and before a proxy no longer counts as shown, in ms. */
const staleAfterMs = 10_000;
/** How long a proxy counts as shown before a look can have shown it, in ms. */
const firstShownMs = 5000;
/** How long the edge may be silent before nobody counts as reachable through it, in ms. */
const edgeSilenceMs = 5000;
/** How long a failure speaks against a tunnel that nobody has asked since, in ms. */
const failureCountsMs = 60_000;

/** Derives the state. Total: any facts give a state and, unless it is routable, a reason. */
export function deriveTunnelState(facts: TunnelFacts): TunnelJudgement {
  const { now, lookedAt, session, isLeaving } = facts;
  const isStale = lookedAt === undefined || now.getTime() - lookedAt.getTime() > staleAfterMs;
  if (facts.isBlocked) {
    return { status: "disconnected", state: session !== undefined || isLeaving ? "closing" : "offline", isStale, reason: "BLOCKED" };
  }
  const connectedAt = session?.connectedAt;
  // A dead frps says nothing about its sessions; one that connected after that look is another frps's.
  const isOutlived = !facts.isFrpsThere && lookedAt !== undefined && connectedAt !== undefined && connectedAt < lookedAt;
  if (session !== undefined && connectedAt !== undefined && !isOutlived) {
    const reason = isStale ? "SERVER_SILENT" : findObstacle(facts, connectedAt, session.seenAt);
    return {
      status: "connected",
      state: reason === undefined ? "routable" : "connected",
      connectedSince: connectedAt,
      isStale,
      reason,
    };
  }
  if (facts.isHandingOver) return { status: "disconnected", state: "handing-over", isStale, reason: "HANDING_OVER" };
  if (session !== undefined && connectedAt === undefined) {
    return { status: "disconnected", state: "admitted", isStale, reason: "CONNECTING" };
  }
  return { status: "disconnected", state: isLeaving ? "closing" : "offline", isStale, reason: findEnd(facts) };
}

/** What keeps requests from the app of a connected session. */
function findObstacle(facts: TunnelFacts, connectedAt: Date, seenAt: Date | undefined): UnroutableReason | undefined {
  const { now, edgeHeardAt, evidence } = facts;
  const shownUntil = seenAt === undefined ? connectedAt.getTime() + firstShownMs : seenAt.getTime() + staleAfterMs;
  if (now.getTime() > shownUntil) return "NOT_SHOWN";
  if (edgeHeardAt === undefined || now.getTime() - edgeHeardAt.getTime() > edgeSilenceMs) return "EDGE_AWAY";
  // What was seen before is another session's.
  if (evidence === undefined || evidence.at < connectedAt) return undefined;
  return now.getTime() - evidence.at.getTime() < failureCountsMs ? evidence.failure : undefined;
}

const reasonsOfEnds: Readonly<Record<SessionEnd, DisconnectedReason>> = {
  closed: "CLOSED",
  lost: "LOST",
  displaced: "DISPLACED",
  expired: "EXPIRED",
  evicted: "EVICTED",
  kicked: "EVICTED",
};

function findEnd({
  formerEnd,
  wasEverSeen,
  isFrpsThere,
}: Pick<TunnelFacts, "formerEnd" | "wasEverSeen" | "isFrpsThere">): DisconnectedReason {
  if (formerEnd === undefined) return wasEverSeen ? "LOST" : "NEVER_SEEN";
  if (formerEnd === "lost" && !isFrpsThere) return "SERVER_AWAY";
  return wasEverSeen ? reasonsOfEnds[formerEnd] : "NEVER_SEEN";
}
