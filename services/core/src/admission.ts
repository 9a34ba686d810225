/**
 * THE decision: who may hold a label. Pure; the table of DESIGN.md §5 is this file, and each of its rows is a test.
 *
 * Every login has a rank: the issued-at of its credential, then its generation. A login of a good credential is admitted
 * if and only if no living session of another ticket has a higher rank; living sessions of lower rank are displaced; the
 * same ticket replaces its own half-open session. Ranks only rise, so displacing cannot go round in circles.
 */
import type { RefusalCode } from "./refusals.ts";
import type { CredentialKind, TokenRecord } from "./store.ts";
import type { Ticket } from "./ticket.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** A session of the label that lives now. */
export type LivingSession = { readonly generation: number; readonly issuedAt: Date };

/** Everything that the decision rests on. */
export type AdmissionFacts = {
  readonly now: Date;
  /** The label, or the address that the login came from, is blocked. */
  readonly isBlocked: boolean;
  /** The credential that was presented, its signature already checked. `endsAt` is the recorded one where there is a record. */
  readonly credential: { readonly kind: CredentialKind; readonly issuedAt: Date; readonly endsAt: Date };
  /** Credentials issued before this are revoked. */
  readonly notBefore: Date | undefined;
  /** The newest token of the credential's kind that the label bought. */
  readonly newest: TokenRecord | undefined;
  /**
   * The newest issued-at that was ever admitted for the label with a credential of this kind. Asked for self-signed kinds
   * only: nobody records when they are made, so this is how a leftover is known.
   */
  readonly newestIssuedAt: Date | undefined;
  /** The ticket that came as run_id, if it is one of this label. */
  readonly ticket: Ticket | undefined;
  /** The issued-at that a renewal recorded for the ticket's generation. */
  readonly recordedIssuedAt: Date | undefined;
  readonly living: readonly LivingSession[];
  /** The highest generation of the label that is known from anywhere; 0 when none is. */
  readonly highestGeneration: number;
};

/** What an admitted login becomes. */
export type Admission = {
  readonly generation: number;
  readonly issuedAt: Date;
  /** At this moment the session is evicted, unless something newer of the same kind was bought. */
  readonly endsAt: Date;
  /** True when the run_id was a ticket of ours: the client keeps it. */
  readonly isResumed: boolean;
  /** Generations that must go before the answer. */
  readonly displaces: readonly number[];
};

/** What differs between the kinds. */
type KindRules = {
  /** How far ahead of our clock an issued-at may lie, in ms. */
  readonly maxAheadMs: number;
  /** Signed by its holder alone, and by nobody recorded. */
  readonly isSelfSigned: boolean;
  readonly expired: RefusalCode;
  readonly notYetValid: RefusalCode;
};

/** Tokens rise by a second each, and clocks of our own processes agree. */
const issuedHere: KindRules = { maxAheadMs: 2000, isSelfSigned: false, expired: "TOKEN_EXPIRED", notYetValid: "TOKEN_NOT_YET_VALID" };
/** Made by somebody else's clock. */
const selfSigned = { maxAheadMs: 60_000, isSelfSigned: true } as const;

const rulesOfKind: Readonly<Record<CredentialKind, KindRules>> = {
  hmac: issuedHere,
  jwt: issuedHere,
  claim: { ...selfSigned, expired: "CLAIM_EXPIRED", notYetValid: "CLOCK_SKEW" },
  "stellar-jwt": { ...selfSigned, expired: "JWT_EXPIRED", notYetValid: "JWT_NOT_YET_VALID" },
};

/** True for a kind that its holder signs alone: whether one is a leftover only `newestIssuedAt` can tell. */
export const isSelfSigned = (kind: CredentialKind): boolean => rulesOfKind[kind].isSelfSigned;

/**
 * True when everything of the label that was issued before `notBefore` is revoked, and this was. A clock of somebody else may
 * be a minute ahead of ours: what a holder signed counts as signed a minute earlier, so that nothing that was there at the
 * revocation outlives it. The price: what is signed in the minute after it is refused as well.
 */
export function isRevoked(credential: { readonly kind: CredentialKind; readonly issuedAt: Date }, notBefore: Date | undefined): boolean {
  if (notBefore === undefined) return false;
  const { isSelfSigned, maxAheadMs } = rulesOfKind[credential.kind];
  return credential.issuedAt.getTime() - (isSelfSigned ? maxAheadMs : 0) < notBefore.getTime();
}

/**
 * Decides a login. Refuses with `ADDRESS_BLOCKED`, `TOKEN_REVOKED`, `TOKEN_NOT_YET_VALID`, `TOKEN_EXPIRED`, `CREDENTIAL_OUTDATED`,
 * `NEWER_CREDENTIAL_IN_USE` or `REPLACED_BY_NEWER_CLIENT`, and for self-signed kinds with codes of their own in place of the
 * third and fourth; grants with the rank of the new session and whom it displaces.
 *
 * @example
 * decideAdmission({ ...facts, living: [], ticket: undefined }).granted // true for a good token: row 6
 */
export function decideAdmission(facts: AdmissionFacts): Verdict<Admission> {
  const { now, credential, notBefore, newest } = facts;
  if (facts.isBlocked) return refuse("ADDRESS_BLOCKED"); // row 1
  if (isRevoked(credential, notBefore)) return refuse("TOKEN_REVOKED"); // row 2
  const rules = rulesOfKind[credential.kind];
  if (credential.issuedAt.getTime() > now.getTime() + rules.maxAheadMs) return refuse(rules.notYetValid);

  // A ticket older than not-before is worth as much as none.
  const ticket = facts.ticket !== undefined && !isRevoked(facts.ticket, notBefore) ? facts.ticket : undefined;
  const endsAt = latest(credential.endsAt, newest?.expiresAt);
  // Rows 3, 4 and 5: only who comes back with a ticket may live on what its label bought since.
  if (now >= (ticket === undefined ? credential.endsAt : endsAt)) return refuse(rules.expired);
  // Its successor was here, and need not live any more: who is left behind never comes back.
  if (rules.isSelfSigned && facts.newestIssuedAt !== undefined && credential.issuedAt < facts.newestIssuedAt)
    return refuse("CREDENTIAL_OUTDATED");

  const issuedAt = latest(credential.issuedAt, ticket === undefined ? undefined : latest(ticket.issuedAt, facts.recordedIssuedAt));
  const generation = ticket?.generation ?? Math.max(now.getTime(), facts.highestGeneration + 1);
  const displaces: number[] = [];
  // What lies ahead of our clock counts as now, on both sides; what is kept is the instant itself, so ranks never move.
  const mine = earliest(issuedAt, now).getTime();
  for (const session of facts.living) {
    if (session.generation === generation) continue; // row 9: its own, half-open
    const theirs = earliest(session.issuedAt, now).getTime();
    if (theirs > mine) return refuse("NEWER_CREDENTIAL_IN_USE"); // row 8
    if (theirs === mine && session.generation > generation) return refuse("REPLACED_BY_NEWER_CLIENT"); // row 12
    displaces.push(session.generation); // rows 7, 11 and 13
  }
  return grant({ generation, issuedAt, endsAt, isResumed: ticket !== undefined, displaces });
}

const latest = (first: Date, second: Date | undefined): Date => (second !== undefined && second > first ? second : first);
const earliest = (first: Date, second: Date): Date => (second < first ? second : first);
