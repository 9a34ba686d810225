/**
 * What the plugin says about a label: connected while a session has a proxy, routable while frps shows it. Never guesses:
 * `asOf` is when the dashboard last agreed, and `stale` says that it has not for too long.
 */
import type { ReadTunnelStatus, SessionReader } from "@keyhole/core";
import type { SessionRegistry } from "./session-registry.ts";

/** How old the dashboard's word may be before what we say is stale, in ms. */
const staleAfterMs = 10_000;
/** How long a proxy that frps was just told to register counts as routable before the dashboard shows it, in ms. */
const graceMs = 3000;

/** Makes the reader that the token service is given. */
export function createTunnelStatus(deps: {
  readonly registry: SessionRegistry;
  readonly sessions: SessionReader;
  readonly reconciledAt: () => Date | undefined;
  readonly now: () => Date;
}): ReadTunnelStatus {
  return async (label) => {
    const now = deps.now();
    const asOf = deps.reconciledAt() ?? now;
    const stale = now.getTime() - asOf.getTime() > staleAfterMs;
    const session = deps.registry.living(label).find((candidate) => candidate.connectedAt !== undefined);
    if (session?.connectedAt === undefined)
      return { status: "disconnected", lastSeen: (await deps.sessions.lastSeen(label)) ?? null, asOf, stale };
    const shownAt = session.seenAt ?? session.connectedAt;
    return {
      status: "connected",
      connectedSince: session.connectedAt,
      routable: now.getTime() - shownAt.getTime() < Math.max(graceMs, staleAfterMs),
      asOf,
      stale,
    };
  };
}
