/**
 * Port: what may be said in public about a label. The plugin knows it; the token service asks.
 */
import type { Label } from "./label.ts";
import type { SessionReader } from "./store.ts";
import {
  type DisconnectedReason,
  deriveTunnelState,
  type TunnelFacts,
  type TunnelJudgement,
  type TunnelState,
  type UnroutableReason,
} from "./tunnel-state.ts";

/** Whether a label is served, and why not. `asOf` is when this was last known to be true. */
export type TunnelStatus =
  | {
      readonly status: "connected";
      readonly state: Extract<TunnelState, "connected" | "routable">;
      readonly connectedSince: Date;
      readonly routable: boolean;
      /** Undefined exactly when it is routable. */
      readonly reason: UnroutableReason | undefined;
      readonly asOf: Date;
      readonly stale: boolean;
    }
  | {
      readonly status: "disconnected";
      readonly state: Exclude<TunnelState, "connected" | "routable">;
      readonly lastSeen: Date | null;
      readonly reason: DisconnectedReason;
      readonly asOf: Date;
      readonly stale: boolean;
    };

/** Answers for one label. Never throws for a label that nobody has ever used: it is `disconnected`, `lastSeen: null`. */
export type ReadTunnelStatus = (label: Label) => Promise<TunnelStatus>;

/**
 * What the records say, for who does not know better: the plugin is away, or does not know yet who is served. Always stale.
 * `heardAt` is when somebody last knew better.
 */
export async function readRecordedStatus(
  sessions: SessionReader,
  label: Label,
  { heardAt, now }: { readonly heardAt: Date | undefined; readonly now: Date },
): Promise<TunnelStatus> {
  const newest = await sessions.findSession(label, await sessions.highestGeneration(label));
  const lastSeen = (await sessions.lastSeen(label)) ?? null;
  const event = newest?.closedAt ?? newest?.connectedAt ?? newest?.admittedAt;
  const asOf = latest(heardAt ?? (await sessions.watchedUntil()), event) ?? now;
  const isUnended = newest !== undefined && newest.closedAt === undefined;
  const { block } = await sessions.standing(label);
  const facts = {
    isBlocked: block !== undefined && (block.endsAt === undefined || block.endsAt > now),
    session: isUnended ? { connectedAt: newest.connectedAt, seenAt: undefined } : undefined,
    formerEnd: newest?.end,
    wasEverSeen: lastSeen !== null,
  };
  const judgement = deriveTunnelState({ ...unknownFacts, ...facts, now });
  const reason = judgement.status === "connected" ? "UNKNOWN" : judgement.reason;
  return describeTunnel({ ...judgement, reason } as TunnelJudgement, { lastSeen, asOf });
}

/** Nobody can say any of it. */
const unknownFacts = {
  lookedAt: undefined,
  isFrpsThere: true,
  isHandingOver: false,
  isLeaving: false,
  edgeHeardAt: undefined,
  evidence: undefined,
} satisfies Partial<TunnelFacts>;

/** A judgement as it is told. */
export function describeTunnel(
  { isStale: stale, ...judgement }: TunnelJudgement,
  { lastSeen, asOf }: { readonly lastSeen: Date | null; readonly asOf: Date },
): TunnelStatus {
  if (judgement.status === "disconnected") return { ...judgement, lastSeen, asOf, stale };
  return { ...judgement, routable: judgement.state === "routable", asOf, stale };
}

/** The latest of what is known; undefined when nothing is. */
export function latest(...instants: readonly (Date | null | undefined)[]): Date | undefined {
  let found: Date | undefined;
  for (const instant of instants) if (instant instanceof Date && (found === undefined || instant > found)) found = instant;
  return found;
}
