/** What a race did and saw. `at` is in ms of one clock that never steps back; issued-at and not-before are Unix seconds. */

/** A login that was admitted. */
export type AdmittedLogin = {
  readonly id: string;
  readonly label: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  /** From the ticket that it was given. */
  readonly generation: number;
  /** Of its credential, or of its ticket, whichever is later: at least this is the first half of its rank. */
  readonly issuedAt: number;
  /** Of the credential alone: what a not-before is compared with at the login. */
  readonly credentialIssuedAt: number;
  /** When its client began to leave, or saw that it was ended; undefined while neither has happened. */
  endingAt: number | undefined;
};

/** A token that was asked for and given: it renews whoever lives meanwhile. */
export type BoughtToken = { readonly label: string; readonly askedAt: number; readonly issuedAt: number };

/** What an operator or an owner ordered. `isEnforced`: the answer said that the edge refuses from then on. */
export type Order = {
  readonly what: "revoke" | "owner-revoke" | "kick" | "block" | "unblock";
  readonly label: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly isEnforced: boolean;
  readonly notBefore?: number;
};

/** A visitor's request. `by` is the id of the login whose client answered it. */
export type Served = {
  readonly label: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly status: number;
  readonly code?: string;
  readonly by?: string;
};

/** Everything. */
export type RaceHistory = {
  readonly logins: readonly AdmittedLogin[];
  readonly tokens: readonly BoughtToken[];
  readonly orders: readonly Order[];
  readonly served: readonly Served[];
};
