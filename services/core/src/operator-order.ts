/**
 * What an operator's orders say of themselves: the instant that a revocation reaches, and the event of each order. They are
 * carried out by the plugin; while it is away the command line records them, in the same words.
 */
import type { EventEntry } from "./event.ts";
import { type Label, parseLabel } from "./label.ts";
import type { Block, BlockSubject, TokenRecord } from "./store.ts";

/** Who ordered it, for the chain of events: a name of the machine's user or of a key, no secret. */
export type Orderer = string;

/** Tokens may be issued so many seconds ahead of now, by a service that has not heard of the order yet. */
const maxAheadSeconds = 2;

/** A not-before that is later than whatever was issued, or may have been issued by now. `newest`: the newest tokens that are known. */
export function deriveOperatorNotBefore(at: Date, newest: readonly (TokenRecord | undefined)[]): Date {
  const issued = newest.map((token) => (token === undefined ? 0 : token.issuedAt.getTime() / 1000));
  return new Date((Math.max(Math.floor(at.getTime() / 1000), ...issued) + 1 + maxAheadSeconds) * 1000);
}

/** The event of a revocation. */
export const describeRevoked = (label: Label, of: { readonly notBefore: Date; readonly at: Date; readonly by: Orderer }): EventEntry => ({
  at: of.at,
  event: "operator.revoked",
  label,
  detail: { notBefore: Math.floor(of.notBefore.getTime() / 1000), by: of.by },
});

/** The event of a block that was set. */
export const describeBlockSet = ({ subject, reason, endsAt, createdAt }: Block, by: Orderer): EventEntry => ({
  at: createdAt,
  event: "block.set",
  ...labelOf(subject),
  detail: { subject, reason, endsAt: endsAt?.toISOString() ?? null, by },
});

/** The event of a block that was taken back, or with `by` undefined: that has ended. */
export const describeBlockGone = (subject: BlockSubject, at: Date, by: Orderer | undefined): EventEntry => ({
  at,
  event: by === undefined ? "block.ended" : "block.lifted",
  ...labelOf(subject),
  detail: { subject, ...(by === undefined ? {} : { by }) },
});

function labelOf(subject: BlockSubject): { readonly label?: Label } {
  const label = parseLabel(subject);
  return label === undefined ? {} : { label };
}
