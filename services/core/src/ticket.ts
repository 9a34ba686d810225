/**
 * The ticket: our run_id. frp keeps it and sends it again when the client reconnects, so it says, without a row, which
 * session comes back (DESIGN.md §5). 47 bytes in base64url, 63 characters (frps allows 64):
 *
 *     generation ms 6 ‖ issued-at s 4 ‖ ends-at s 4 ‖ credential kind 1 ‖ random 16 ‖ MAC 16 over label and all before
 *
 * It is secret: whoever knows it can feed connections into the session.
 */
import { type KeyRing, signWithRing, verifyWithRing } from "./key-ring.ts";
import type { Label } from "./label.ts";
import type { CredentialKind } from "./store.ts";

/** What a ticket says about the session that it was given to. */
export type Ticket = {
  /** Milliseconds; the second half of the rank. */
  readonly generation: number;
  /** Of its credential, whole seconds; the first half of the rank. */
  readonly issuedAt: Date;
  /** Of its credential, whole seconds. */
  readonly endsAt: Date;
  readonly kind: CredentialKind;
};

const kinds: readonly CredentialKind[] = ["hmac", "jwt", "claim", "stellar-jwt"];
const bodyLength = 31;
const macLength = 16;
/** Written anew for every ticket: nothing is awaited while it is in use. */
const bytes = Buffer.alloc(bodyLength + macLength);

/** Mints the ticket of a session. `random` is 16 fresh bytes: they make it unguessable even if the key leaked later. */
export function mintTicket(label: Label, ticket: Ticket, ring: KeyRing, random: Uint8Array): string {
  bytes.writeUIntBE(ticket.generation, 0, 6);
  bytes.writeUInt32BE(seconds(ticket.issuedAt), 6);
  bytes.writeUInt32BE(seconds(ticket.endsAt), 10);
  bytes.writeUInt8(kinds.indexOf(ticket.kind) + 1, 14);
  bytes.set(random.subarray(0, 16), 15);
  bytes.write(signWithRing(ring, authenticated(label, bytes), "binary"), bodyLength, macLength, "latin1");
  return bytes.toString("base64url");
}

/** Reads a ticket of this label. Undefined for anything else: another label's, another key's, foreign, altered. Never throws. */
export function readTicket(label: Label, text: string, ring: KeyRing): Ticket | undefined {
  if (!/^[A-Za-z0-9_-]{63}$/.test(text)) return undefined;
  const read = Buffer.from(text, "base64url");
  if (read.toString("base64url") !== text) return undefined;
  const kind = kinds[read.readUInt8(14) - 1];
  const mac = read.toString("latin1", bodyLength);
  if (kind === undefined || !verifyWithRing(ring, authenticated(label, read), mac, "binary")) return undefined;
  return {
    generation: read.readUIntBE(0, 6),
    issuedAt: new Date(read.readUInt32BE(6) * 1000),
    endsAt: new Date(read.readUInt32BE(10) * 1000),
    kind,
  };
}

const authenticated = (label: Label, content: Buffer): string => `${label}\n${content.toString("latin1", 0, bodyLength)}`;
const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);
