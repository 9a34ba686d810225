/**
 * What a newer token means for a session that it was not presented for: frpc keeps its first one for ever, so a renewal
 * counts for the session that lived when it was bought. A thief who slips in afterwards gains no rank by it.
 */
import type { SessionRecord, TokenRecord } from "@keyhole/core";
import type { Session } from "./session-registry.ts";

/** Of whole seconds. */
const issuedAtStepMs = 1000;

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

/**
 * What was bought while the recorded session lived counts for it, also when nobody saw it end. Issued-at tells no more than the
 * second: what was bought in the one in which it ended may have been bought after that, and is in the record where it was not.
 * Who was displaced had all counted that was its own: a newcomer is judged by it.
 */
export function renewedIssuedAt(former: SessionRecord, newest: TokenRecord | undefined): Date {
  if (newest === undefined || newest.kind !== former.kind || former.end === "displaced") return former.issuedAt;
  const { admittedAt, closedAt, issuedAt } = former;
  const isWithinItsLife =
    newest.issuedAt >= admittedAt && (closedAt === undefined || newest.issuedAt.getTime() + issuedAtStepMs <= closedAt.getTime());
  return isWithinItsLife ? latest(issuedAt, newest.issuedAt) : issuedAt;
}

const latest = (first: Date, second: Date): Date => (second > first ? second : first);
