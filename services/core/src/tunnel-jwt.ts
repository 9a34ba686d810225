/**
 * The tunnel token as a JWT, for who wants to check it without us: EdDSA, keys published as a JWK set. It says what the
 * HMAC form says, and until when. Its `typ` and `aud` keep it apart from every other JWT (RFC 8725 §3.9, §3.11).
 */
import { verifyEd25519 } from "./ed25519.ts";
import { isSeconds, type Jws, parseJws } from "./jws.ts";
import { type Label, parseLabel } from "./label.ts";
import type { TokenRecord } from "./store.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** A public key that verifies tunnel tokens (Ed25519, 32 bytes), and its id. */
export type VerifyKey = { readonly id: string; readonly publicKey: Uint8Array };

/** Reads the keys at the moment they are used, so that a rotation needs no restart. */
export type ReadVerifyKeys = () => readonly VerifyKey[];

/** What a tunnel token in its JWT form says. Whole seconds. */
export type TunnelJwt = { readonly label: Label; readonly issuedAt: Date; readonly endsAt: Date };

/** The payload of a tunnel token in its JWT form. */
export type TunnelJwtClaims = {
  readonly iss: string;
  readonly aud: string;
  readonly sub: Label;
  readonly subdomain: Label;
  readonly iat: number;
  readonly exp: number;
};

/** The `typ` of its header. */
export const tunnelJwtType = "keyhole-tunnel+jwt";

/** A key's id is the time it was made and 8 random digits. It is only ever looked up in a list, never part of a path. */
const keyIdForm = /^[0-9]{13}-[0-9a-f]{8}$/;

/** Until 2106: a session's ticket has 32 bits for each of its times. */
const latestSeconds = 0xffff_ffff;

/** The payload to be signed for a recorded token; `domain` is the one that labels live under. */
export function deriveTunnelJwtClaims(token: TokenRecord, domain: string): TunnelJwtClaims {
  return {
    iss: domain,
    aud: domain,
    sub: token.label,
    subdomain: token.label,
    iat: Math.floor(token.issuedAt.getTime() / 1000),
    exp: Math.floor(token.expiresAt.getTime() / 1000),
  };
}

/**
 * Reads a token: `TOKEN_MALFORMED` when it has not the form of one, `TOKEN_KEY_UNKNOWN` when its `kid` is not the id of
 * exactly one of the keys, `TOKEN_SIGNATURE` when it is of another server or altered. Whether it has expired or is revoked
 * is `decideAdmission`'s to say. Never throws.
 */
export function readTunnelJwt(text: string, keys: readonly VerifyKey[], domain: string): Verdict<TunnelJwt> {
  const jws = parseJws(text);
  if (jws === undefined) return refuse("TOKEN_MALFORMED");
  const { header, payload } = jws;
  if (header["alg"] !== "EdDSA" || header["typ"] !== tunnelJwtType || jws.signature.length !== 64) return refuse("TOKEN_MALFORMED");
  const key = findKey(header["kid"], keys);
  if (key === undefined) return refuse("TOKEN_KEY_UNKNOWN");
  const token = parseClaims(payload);
  if (token === undefined) return refuse("TOKEN_MALFORMED");
  const isOurs = payload["iss"] === domain && payload["aud"] === domain && payload["subdomain"] === payload["sub"];
  // What we sign is always for ourselves and about one label: anything else has another signature, which need not be looked at.
  if (!isOurs || !isSigned(jws, key)) return refuse("TOKEN_SIGNATURE");
  return grant(token);
}

function findKey(id: unknown, keys: readonly VerifyKey[]): VerifyKey | undefined {
  if (typeof id !== "string" || !keyIdForm.test(id)) return undefined;
  const found = keys.filter((key) => key.id === id);
  return found.length === 1 ? found[0] : undefined;
}

function parseClaims({ sub, iat, exp, nbf }: Jws["payload"]): TunnelJwt | undefined {
  const label = parseLabel(sub);
  // We never sign an nbf; one that nobody judges must not be passed over.
  if (label === undefined || nbf !== undefined) return undefined;
  if (!isSeconds(iat) || !isSeconds(exp) || exp <= iat || exp > latestSeconds) return undefined;
  return { label, issuedAt: new Date(iat * 1000), endsAt: new Date(exp * 1000) };
}

const isSigned = ({ signature, signedText }: Jws, { publicKey }: VerifyKey): boolean =>
  verifyEd25519(signature, Buffer.from(signedText, "ascii"), publicKey);
