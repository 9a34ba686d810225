/**
 * What a newer token means for a session that it was not presented for: frpc keeps its first one for ever, so a renewal
 * counts for the session that lived when it was bought. A thief who slips in afterwards gains no rank by it.
 */
import type { SessionRecord, TokenRecord } from "@keyhole/core";
import type { Session } from "./session-registry.ts";

/** Raises the session's deadline, and its issued-at if it lived when the token was bought. False when nothing changed. */
export function renew(session: Session, newest: TokenRecord | undefined): boolean {
  if (newest === undefined || newest.kind !== session.kind) return false;
  const endsAt = latest(session.endsAt, newest.expiresAt);
  const issuedAt = newest.issuedAt >= session.admittedAt ? latest(session.issuedAt, newest.issuedAt) : session.issuedAt;
  if (endsAt === session.endsAt && issuedAt === session.issuedAt) return false;
  session.endsAt = endsAt;
  session.issuedAt = issuedAt;
  return true;
}

/** What was bought while the recorded session lived counts for it, also when nobody asked for the label meanwhile. */
export function renewedIssuedAt(former: SessionRecord, newest: TokenRecord | undefined): Date {
  const isIts =
    newest !== undefined &&
    newest.kind === former.kind &&
    newest.issuedAt >= former.admittedAt &&
    (former.closedAt === undefined || newest.issuedAt <= former.closedAt);
  return isIts ? latest(former.issuedAt, newest.issuedAt) : former.issuedAt;
}

const latest = (first: Date, second: Date): Date => (second > first ? second : first);
