/**
 * A Stellar JWT: what HVYM clients sign with the Ed25519 key of their account (`alg` EdDSA, `sub` the account itself, `aud`
 * our own account, `iss` fixed). The key comes from `sub` and from nowhere else. Stricter than the library it was made for:
 * `exp` must be there and within an hour of `iat`, `iat` may not lie ahead, a `kid` must be `sub`, nothing stands twice.
 */
import { verifyEd25519 } from "./ed25519.ts";
import { parseIdentity, type StellarIdentity } from "./identity.ts";
import { isBoundedText, isSeconds, type Jws, parseJws } from "./jws.ts";
import { deriveLabel, type Label } from "./label.ts";
import { grant, type Refusal, refuse, type Verdict } from "./verdict.ts";

/** What a Stellar JWT says. */
export type StellarJwt = {
  readonly label: Label;
  readonly identity: StellarIdentity;
  /** Whole seconds; up to 60 s ahead of our clock. */
  readonly issuedAt: Date;
  /** Its `exp` and 60 s for clocks that differ. */
  readonly endsAt: Date;
  /** The names it lists; none when it lists none. */
  readonly services: readonly string[];
};

/** A JWT of which everything but the signature is right; `check` buys the signature. */
export type UncheckedStellarJwt = { readonly claims: StellarJwt; check(): Verdict<StellarJwt> };

const issuer = "hvym_tunnler";
const skewSeconds = 60;
const longestLifeSeconds = 3600;

/**
 * Reads a Stellar JWT for the server `audience` (our `G…` account), the dear check last and only when `check()` is called.
 * Refuses `JWT_MALFORMED`, `JWT_ALGORITHM`, `JWT_ISSUER`, `JWT_AUDIENCE`, `JWT_KEY_MISMATCH`, `JWT_LIFE_TOO_LONG`,
 * `JWT_EXPIRED`, `JWT_NOT_YET_VALID`, in this order; `check` refuses `SIGNATURE_INVALID`. Never throws.
 */
export function parseStellarJwt(text: string, settings: { readonly audience: string; readonly now: Date }): Verdict<UncheckedStellarJwt> {
  const jws = parseJws(text);
  if (jws === undefined) return refuse("JWT_MALFORMED");
  const { header, payload } = jws;
  if (header["alg"] !== "EdDSA") return refuse("JWT_ALGORITHM");
  if (!isPlainType(header["typ"])) return malformed("typ");
  if (jws.signature.length !== 64) return malformed("signature");
  if (!isBoundedText(payload["iss"], 256)) return malformed("iss");
  if (!isBoundedText(payload["aud"], 256)) return malformed("aud");
  if (payload["iss"] !== issuer) return refuse("JWT_ISSUER");
  if (payload["aud"] !== settings.audience) return refuse("JWT_AUDIENCE");
  const identity = parseIdentity(payload["sub"]);
  if (!identity.granted || identity.value.namespace !== "stellar") return malformed("sub");
  if (header["kid"] !== undefined && header["kid"] !== payload["sub"]) return refuse("JWT_KEY_MISMATCH");
  const services = parseServices(payload["services"]);
  if (services === undefined) return malformed("services");
  const times = parseTimes(payload, settings.now);
  if (!times.granted) return times;
  const claims: StellarJwt = { label: deriveLabel(identity.value), identity: identity.value, ...times.value, services };
  return grant({ claims, check: () => checkSignature(jws, claims) });
}

/** A JWT without a type, or of the plain one; `typ` ignores case (RFC 7515 §4.1.9). A tunnel token is of another. */
const isPlainType = (type: unknown): boolean => type === undefined || (typeof type === "string" && type.toUpperCase() === "JWT");

type Times = Pick<StellarJwt, "issuedAt" | "endsAt">;

/** The seconds are compared as numbers first: a `Date` has a smaller range than an integer. */
function parseTimes({ iat, exp, nbf }: Jws["payload"], now: Date): Verdict<Times> {
  const serverTime = Math.floor(now.getTime() / 1000);
  if (!isSeconds(iat)) return malformed("iat");
  if (!isSeconds(exp) || exp <= iat) return malformed("exp");
  if (nbf !== undefined && !isSeconds(nbf)) return malformed("nbf");
  if (exp - iat > longestLifeSeconds) return refuse("JWT_LIFE_TOO_LONG", { seconds: exp - iat });
  if ((exp + skewSeconds) * 1000 <= now.getTime()) return refuse("JWT_EXPIRED", { expiredAt: exp, serverTime });
  const start = Math.max(iat, nbf ?? 0);
  if ((start - skewSeconds) * 1000 > now.getTime()) return refuse("JWT_NOT_YET_VALID", { validFrom: start, serverTime });
  return grant({ issuedAt: new Date(iat * 1000), endsAt: new Date((exp + skewSeconds) * 1000) });
}

function parseServices(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > 16 || !value.every((name) => isBoundedText(name, 64))) return undefined;
  return value as readonly string[];
}

function checkSignature({ signature, signedText }: Jws, claims: StellarJwt): Verdict<StellarJwt> {
  const isGood = verifyEd25519(signature, Buffer.from(signedText, "ascii"), claims.identity.publicKey);
  return isGood ? grant(claims) : refuse("SIGNATURE_INVALID");
}

const malformed = (field: string): { readonly granted: false; readonly refusal: Refusal } => refuse("JWT_MALFORMED", { field });
