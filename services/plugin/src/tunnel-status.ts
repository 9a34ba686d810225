/**
 * What the plugin says about a label: connected while a session has a proxy, routable while frps shows it. Never guesses:
 * `asOf` is when the dashboard last agreed, and `stale` says that it has not for too long.
 */
import type { ReadTunnelStatus, SessionReader } from "@keyhole/core";
import type { SessionRegistry } from "./session-registry.ts";

/** How old the dashboard's word may be before what we say is stale, and before a proxy no longer counts as shown, in ms. */
const staleAfterMs = 10_000;

/** Makes the reader that the token service is given. */
export function createTunnelStatus(deps: {
  readonly registry: SessionRegistry;
  readonly sessions: SessionReader;
  readonly reconciledAt: () => Date | undefined;
  readonly now: () => Date;
}): ReadTunnelStatus {
  return async (label) => {
    const now = deps.now();
    const lookedAt = deps.reconciledAt();
    const reconciledAt = lookedAt ?? now;
    // Before the first look we know nothing of what the process before this one knew.
    const stale = lookedAt === undefined || now.getTime() - lookedAt.getTime() > staleAfterMs;
    // What frps told us since counts too: a Login or a CloseProxy is as good as the dashboard.
    // What lies ahead of a clock that was set back since is older than it looks.
    const asOf = (event: Date | null): Date => (event !== null && event > reconciledAt && event <= now ? event : reconciledAt);
    const session = deps.registry.living(label).find((candidate) => candidate.connectedAt !== undefined);
    if (session?.connectedAt === undefined) {
      const lastSeen = (await deps.sessions.lastSeen(label)) ?? null;
      return { status: "disconnected", lastSeen, asOf: asOf(lastSeen), stale };
    }
    const { connectedAt, seenAt = connectedAt } = session;
    const routable = now.getTime() - seenAt.getTime() < staleAfterMs;
    return { status: "connected", connectedSince: connectedAt, routable, asOf: asOf(connectedAt), stale };
  };
}
