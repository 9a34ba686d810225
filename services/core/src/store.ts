/**
 * Port: what must be remembered. Two stores, one writer each (DESIGN.md §7): the token service writes tokens, the plugin
 * writes sessions; each may read the other's at every decision. Reads are of the newest committed state. Instants are
 * whole seconds where a token carries them and milliseconds elsewhere. A store that cannot answer throws
 * `Fault("STORE_UNAVAILABLE")`.
 */
import type { EventEntry } from "./event.ts";
import type { Label } from "./label.ts";
import type { Network } from "./network.ts";

/** How a session was proved. A renewal counts only for its own kind. */
export type CredentialKind = "hmac" | "jwt" | "claim" | "stellar-jwt";

/** One tunnel token that was issued: when, until when. The token itself is never stored. */
export type TokenRecord = {
  readonly label: Label;
  readonly kind: CredentialKind;
  /** Whole seconds. Rises by at least one second a label. */
  readonly issuedAt: Date;
  /** Whole seconds. */
  readonly expiresAt: Date;
};

/** What a proof buys: asked for by the token service, decided in one transaction. */
export type TokenOrder = {
  readonly label: Label;
  readonly kind: CredentialKind;
  /**
   * The meaning of the proof (never its bytes): when it was signed, what for and for which label. Spent once, for ever. Begins
   * with the second of `provedAt` or a later one, in as many digits as every other: keys are forgotten in their order.
   */
  readonly proofKey: string;
  /** When it was signed, at the earliest that its holder's clock may mean. Whole seconds. */
  readonly provedAt: Date;
  /** Until when a repeat of this proof could still be valid; the record may be forgotten afterwards. */
  readonly proofEndsAt: Date;
  readonly now: Date;
  readonly ttlSeconds: number;
  /** The id of the key that will make the token: a repeated order gets a token of the same key. */
  readonly keyId: string;
  /** Everything of the label that was issued before this token is revoked in the same transaction. */
  readonly isExclusive: boolean;
  /** What an operator has revoked of the label: the token is issued after that, and a proof signed before it buys none. */
  readonly operatorRevocation?: Pick<OperatorRevocation, "notBefore" | "at"> | undefined;
  /** For `repeatSeconds` the same key with the same request gets the same answer. Both are SHA-256 in hexadecimal digits. */
  readonly repeat: { readonly keyHash: string; readonly requestHash: string } | undefined;
};

/** For how long a request with an Idempotency-Key may be repeated. */
export const repeatSeconds = 60;

/**
 * What became of an order. `repeated`: the same request came before, and this is the token it bought. `key-reused`: the
 * Idempotency-Key came with another request. `revoked`: everything of the label was revoked after this was signed, or, for a
 * repeat, after it was bought. `too-fast`: the next free issued-at is more than 2 s ahead of now.
 */
export type TokenOutcome =
  | { readonly outcome: "recorded" | "repeated"; readonly token: TokenRecord; readonly keyId: string }
  | { readonly outcome: "proof-already-used" | "key-reused" | "revoked" | "too-fast" };

/** What a wallet's own revocation is asked for with; its proof is spent as an order's is. */
export type RevocationOrder = Pick<TokenOrder, "label" | "proofKey" | "provedAt" | "proofEndsAt" | "now">;

/** What became of it: everything of the label that was issued before `notBefore` (whole seconds) is revoked. */
export type RevocationOutcome = { readonly outcome: "revoked"; readonly notBefore: Date } | { readonly outcome: "proof-already-used" };

/** A committed change of a label's not-before. `sequence` rises with every change. */
export type RevocationRecord = { readonly sequence: number; readonly label: Label; readonly notBefore: Date };

/** What is recorded about one credential, all that a login rests on. */
type CredentialRecords = {
  /** The record of this very token; undefined when there is none. */
  readonly recorded: TokenRecord | undefined;
  /** The newest token of its kind, expired or not. */
  readonly newest: TokenRecord | undefined;
  /** Credentials issued before this instant are revoked (`isRevoked` says which those are); undefined when nothing is. */
  readonly notBefore: Date | undefined;
};

type TokenLookups = {
  /** The token that was issued for this label at this second; undefined when there is no such record. */
  findToken(label: Label, kind: CredentialKind, issuedAt: Date): Promise<TokenRecord | undefined>;
  /** The newest token of this kind, expired or not. */
  newestToken(label: Label, kind: CredentialKind): Promise<TokenRecord | undefined>;
  /** Credentials issued before this instant are revoked; undefined when nothing is. */
  notBefore(label: Label): Promise<Date | undefined>;
};

/** What anybody may ask about tokens. */
export type TokenReader = TokenLookups & {
  /** The three look-ups of a login in one, because every login waits for it. */
  readCredential(label: Label, kind: CredentialKind, issuedAt: Date): Promise<CredentialRecords>;
  /** The oldest `limit` revocations after this sequence, in their order. */
  revocationsAfter(sequence: number, limit: number): Promise<readonly RevocationRecord[]>;
  /** The sequence of the newest revocation; 0 when there is none. */
  newestRevocation(): Promise<number>;
};

/** An operator's revocation: what was issued before `notBefore` (whole seconds), or signed until `at`, counts no more. */
export type OperatorRevocation = { readonly label: Label; readonly notBefore: Date; readonly at: Date };

/** A wallet, or a network that clients and visitors come from. */
export type BlockSubject = Label | Network;

/** What an operator keeps out. Without `endsAt` until it is lifted. */
export type Block = {
  readonly subject: BlockSubject;
  /** For operators to read; nobody else is told. */
  readonly reason: string;
  readonly createdAt: Date;
  readonly endsAt: Date | undefined;
};

/** What operators have decided about a label. */
export type Standing = { readonly revocation: OperatorRevocation | undefined; readonly block: Block | undefined };

/** tokens.db: written by the token service alone. */
export type TokenStore = TokenLookups & {
  /**
   * Spends the proof and records the token in one durable transaction (invariants 5 and 6): when this resolves with
   * `recorded`, the token may leave. `issuedAt` = the latest of now, not-before, and one second after the newest.
   */
  orderToken(order: TokenOrder): Promise<TokenOutcome>;
  /** Spends the proof and raises the label's not-before to the second after now, in one durable transaction (invariant 6). */
  revoke(order: RevocationOrder): Promise<RevocationOutcome>;
  /** Remembers events. Durable when it resolves. */
  saveEvents(entries: readonly EventEntry[]): Promise<void>;
  /** Resolves when the store can be read and written; throws the fault otherwise. */
  check(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** How a session ended. */
export type SessionEnd = "closed" | "displaced" | "expired" | "lost" | "evicted" | "kicked";

/** One admitted login, as remembered: rank, deadline, and when it served. */
export type SessionRecord = {
  readonly label: Label;
  /** Milliseconds since 1970 at least, rising a label: the second half of the rank. */
  readonly generation: number;
  readonly kind: CredentialKind;
  /** The first half of the rank; raised by a renewal. Whole seconds. */
  readonly issuedAt: Date;
  readonly endsAt: Date;
  readonly admittedAt: Date;
  /** When its proxy was registered; undefined before that. */
  readonly connectedAt: Date | undefined;
  readonly closedAt: Date | undefined;
  readonly end: SessionEnd | undefined;
};

/** What anybody may ask about sessions. */
export type SessionReader = {
  /** The session of this generation, living or not: carries the issued-at that a renewal recorded for it. */
  findSession(label: Label, generation: number): Promise<SessionRecord | undefined>;
  /** The newest issued-at of a session of this self-signed kind that the label ever had: whoever presents an older self-signed credential is a leftover. */
  newestIssuedAt(label: Label, kind: CredentialKind): Promise<Date | undefined>;
  /** The highest generation ever recorded for the label; 0 when none was. */
  highestGeneration(label: Label): Promise<number>;
  /** When the label was last served; undefined when it never was. */
  lastSeen(label: Label): Promise<Date | undefined>;
  /** The newest `limit` labels that were served, with the time each was last served. */
  recentlySeen(limit: number): Promise<ReadonlyMap<Label, Date>>;
  /** The newest `limit` sessions of the label by generation, the newest first. */
  sessionsOf(label: Label, limit: number): Promise<readonly SessionRecord[]>;
  /** Every block that has not been taken away, also one that has ended by now. */
  blocks(): Promise<readonly Block[]>;
  /** The newest revocation of each label by an operator. */
  operatorRevocations(): Promise<readonly OperatorRevocation[]>;
  /** What operators have decided about the label; a block that has ended by now is told too. */
  standing(label: Label): Promise<Standing>;
  /** Sessions whose end was never recorded: they live, or their plugin was killed before it could say how they ended. */
  unendedSessions(): Promise<readonly SessionRecord[]>;
  /** The highest generation of all labels; 0 when there is none. Reads every row: once at start. */
  highestGenerationOfAll(): Promise<number>;
  /** When the plugin last knew its sessions to be what the rows say; undefined when it never said so. */
  watchedUntil(): Promise<Date | undefined>;
};

/** sessions.db: written by the plugin alone. What it was given it knows at once, also before that is durable. */
export type SessionStore = SessionReader & {
  /** Records or replaces the row of (label, generation). Durable when it resolves; callers on the hook do not wait for it. */
  saveSession(record: SessionRecord): Promise<void>;
  /** Remembers that the label was served until this moment. */
  saveLastSeen(label: Label, at: Date): Promise<void>;
  /** Remembers that until this moment the sessions were what their rows say. */
  saveWatched(at: Date): Promise<void>;
  /** Sets a block, or replaces that of the same subject. Durable when it resolves, with its event (invariant 6). */
  saveBlock(block: Block, event: EventEntry): Promise<void>;
  /** Takes a block away, with its event. Resolves to false, and nothing is written, when there is none. */
  removeBlock(subject: BlockSubject, event: EventEntry): Promise<boolean>;
  /** Raises what an operator has revoked of the label, with its event. Durable when it resolves (invariant 6). */
  saveOperatorRevocation(revocation: OperatorRevocation, event: EventEntry): Promise<void>;
  /** Remembers events, gathered with the rows of sessions. Durable when it resolves; callers on the hook do not wait for it. */
  saveEvents(entries: readonly EventEntry[]): Promise<void>;
  check(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};
