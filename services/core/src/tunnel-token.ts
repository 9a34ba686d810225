/**
 * The tunnel token in its HMAC form, which frpc carries in `metadatas.token`:
 *
 *     frp_ base64url(label) _ issued-at seconds _ 64 hex of HMAC-SHA256 over everything before them
 *
 * A label is ASCII, so its base64url never holds `_` or `-` and the parts cannot be confused. The token says whom it is
 * for and when it was issued; until when it is good is what was recorded for it (DESIGN.md §4).
 */
import { type KeyRing, type MacKey, signWithKey, verifyWithRing } from "./key-ring.ts";
import { type Label, parseLabel } from "./label.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** What a tunnel token says. `issuedAt` is in whole seconds. */
export type TunnelToken = { readonly label: Label; readonly issuedAt: Date };

const form = /^(frp_([A-Za-z0-9]{56,76})_(0|[1-9][0-9]{0,11})_)([0-9a-f]{64})$/;

/**
 * Mints a token. Only called after its record is durable (invariant 6). Minting again with the same key gives the same token:
 * a repeated request is answered so, whatever key has come since.
 *
 * @example
 * mintTunnelToken({ label, issuedAt: new Date(1707091200000) }, ring.keys[0]) // "frp_MHg…_1707091200_…"
 */
export function mintTunnelToken(token: TunnelToken, key: MacKey): string {
  const body = `frp_${Buffer.from(token.label, "ascii").toString("base64url")}_${Math.floor(token.issuedAt.getTime() / 1000)}_`;
  return body + signWithKey(key, body, "hex");
}

/**
 * Reads a token: `TOKEN_MALFORMED` when it has not exactly the form (no white space, padding or other alphabet is
 * tolerated), `TOKEN_SIGNATURE` when no key of the ring made it. Whether it has expired or is revoked is `decideAdmission`'s
 * to say. Never throws.
 */
export function readTunnelToken(text: string, ring: KeyRing): Verdict<TunnelToken> {
  const parts = form.exec(text);
  if (parts === null) return refuse("TOKEN_MALFORMED");
  const [, body = "", encoded = "", seconds = "", mac = ""] = parts;
  const label = parseLabel(Buffer.from(encoded, "base64url").toString("latin1"));
  if (label === undefined || Buffer.from(label, "ascii").toString("base64url") !== encoded) return refuse("TOKEN_MALFORMED");
  if (!verifyWithRing(ring, body, mac, "hex")) return refuse("TOKEN_SIGNATURE");
  return grant({ label, issuedAt: new Date(Number(seconds) * 1000) });
}

/** Until when a token without a record is good: the shorter of the configured life and a day. */
export function deriveUnrecordedEnd(issuedAt: Date, ttlSeconds: number): Date {
  return new Date(issuedAt.getTime() + Math.min(ttlSeconds, 86_400) * 1000);
}
