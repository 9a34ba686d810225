/**
 * What the plugin says about a label: the facts of this moment, and what core derives from them. Before everything that frps
 * served at the start is known, the records know more than we do.
 */
import {
  deriveTunnelState,
  describeTunnel,
  type Label,
  latest,
  type ReadTunnelStatus,
  readRecordedStatus,
  type SessionReader,
} from "@keyhole/core";
import type { EdgeWatch } from "./edge-watch.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** Makes the reader that the token service is given. */
export function createTunnelStatus(deps: {
  readonly registry: SessionRegistry;
  readonly sessions: SessionReader;
  readonly adoption: { readonly isDone: boolean };
  readonly upkeep: { readonly reconciledAt: Date | undefined; readonly isFrpsThere: boolean };
  readonly handOver: { isUnderWay(label: Label): boolean };
  readonly endings: { isLeaving(label: Label): boolean };
  readonly edgeWatch: EdgeWatch;
  readonly isBlocked: (label: Label) => boolean;
  readonly now: () => Date;
}): ReadTunnelStatus {
  const { registry, sessions, adoption, upkeep, handOver, endings, edgeWatch, isBlocked, now } = deps;

  /** Whoever is connected; while a label passes on, the one that came last. */
  function findHolder(label: Label): Session | undefined {
    const living = registry.living(label);
    return living.findLast((session) => session.connectedAt !== undefined) ?? living.at(-1);
  }

  return async (label) => {
    if (!adoption.isDone && findHolder(label) === undefined) {
      return await readRecordedStatus(sessions, label, { heardAt: undefined, now: now() });
    }
    const [newest, lastSeen = null] = await Promise.all([readNewest(sessions, label), sessions.lastSeen(label)]);
    // All in one step from here on: facts of one moment.
    const session = findHolder(label);
    const evidence = edgeWatch.of(label);
    const lookedAt = upkeep.reconciledAt;
    const judgement = deriveTunnelState({
      now: now(),
      lookedAt,
      isFrpsThere: upkeep.isFrpsThere || lookedAt === undefined,
      isBlocked: isBlocked(label),
      isHandingOver: handOver.isUnderWay(label),
      isLeaving: endings.isLeaving(label),
      session,
      formerEnd: newest?.end,
      wasEverSeen: lastSeen !== null,
      edgeHeardAt: edgeWatch.heardAt,
      evidence,
    });
    // What frps told us since counts too: a Login or a CloseProxy is as good as the dashboard.
    const event = judgement.status === "connected" ? latest(judgement.connectedSince, evidence?.at) : lastSeen;
    return describeTunnel(judgement, { lastSeen, asOf: latest(lookedAt, event) ?? now() });
  };
}

async function readNewest(sessions: SessionReader, label: Label): Promise<Awaited<ReturnType<SessionReader["findSession"]>>> {
  return await sessions.findSession(label, await sessions.highestGeneration(label));
}
