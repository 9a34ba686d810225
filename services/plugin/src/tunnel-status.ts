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
  type SessionEnd,
  type SessionReader,
  type TunnelJudgement,
} from "@keyhole/core";
import type { EdgeWatch } from "./edge-watch.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** What is recorded of whoever came before. */
type Former = { readonly end: SessionEnd | undefined; readonly lastSeen: Date | null };

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

  /** In one step: the facts of one moment. */
  function judge(label: Label, former: Former | undefined): TunnelJudgement {
    const lookedAt = upkeep.reconciledAt;
    return deriveTunnelState({
      now: now(),
      lookedAt,
      isFrpsThere: upkeep.isFrpsThere || lookedAt === undefined,
      isBlocked: isBlocked(label),
      isHandingOver: handOver.isUnderWay(label),
      isLeaving: endings.isLeaving(label),
      session: findHolder(label),
      formerEnd: former?.end,
      wasEverSeen: (former?.lastSeen ?? null) !== null,
      edgeHeardAt: edgeWatch.heardAt,
      evidence: edgeWatch.of(label),
    });
  }

  /** Of what is known, the latest; an instant that a clock set back has left ahead of us says nothing. */
  function latestUntil(moment: Date, ...instants: readonly (Date | null | undefined)[]): Date {
    return latest(...instants.filter((instant) => instant instanceof Date && instant <= moment)) ?? moment;
  }

  return async (label) => {
    if (!adoption.isDone && findHolder(label) === undefined) {
      return await readRecordedStatus(sessions, label, { heardAt: undefined, now: now() });
    }
    const judgement = judge(label, undefined);
    if (judgement.status === "connected") {
      // What frps and the edge told us since the last look counts too.
      const asOf = latestUntil(now(), upkeep.reconciledAt, judgement.connectedSince, edgeWatch.of(label)?.at);
      return describeTunnel(judgement, { lastSeen: null, asOf });
    }
    const former = await readFormer(sessions, label);
    const { lastSeen } = former;
    return describeTunnel(judge(label, former), { lastSeen, asOf: latestUntil(now(), upkeep.reconciledAt, lastSeen) });
  };
}

async function readFormer(sessions: SessionReader, label: Label): Promise<Former> {
  const [newest, lastSeen = null] = await Promise.all([
    sessions.highestGeneration(label).then((generation) => sessions.findSession(label, generation)),
    sessions.lastSeen(label),
  ]);
  return { end: newest?.end, lastSeen };
}
