/**
 * Finds the one credential of a Login, in the one place where its kind may be (DESIGN.md §5), and judges its form. Who made
 * it `check` finds out, which for most kinds is dear; whether it is still good is `decideAdmission`'s to say.
 */
import {
  type CredentialKind,
  grant,
  type Label,
  parseStellarJwt,
  parseVanaClaim,
  type ReadKeyRing,
  type ReadVerifyKeys,
  type Refusal,
  readTunnelJwt,
  readTunnelToken,
  refuse,
  tunnelJwtType,
  type VanaClaim,
  type Verdict,
} from "@keyhole/core";
import { deriveLoginKey, type LoginContent } from "@keyhole/frp";

/** A credential whose maker is known: whose it is, of what kind, when it was issued, and until when it is good where it says so. */
export type Credential = {
  readonly label: Label;
  readonly kind: CredentialKind;
  readonly issuedAt: Date;
  readonly endsAt?: Date;
  /** What a Stellar JWT says that its client serves. */
  readonly services?: readonly string[];
  /** What a registry may have to confirm. */
  readonly claim?: VanaClaim;
};

/** A credential of a good form in the right place. */
export type Presented = { readonly kind: CredentialKind; check(): Verdict<Credential> };

/** What credentials are read with. */
export type CredentialSettings = {
  readonly tokenKeys: ReadKeyRing;
  readonly verifyKeys: ReadVerifyKeys;
  /** Labels live directly below it: a tunnel JWT names it. */
  readonly domain: string;
  /** The account that a Stellar JWT must be made for; undefined while it is not known yet. */
  readonly stellarAddress: () => string | undefined;
  /** What a Vana claim must be made for. */
  readonly audience: string;
  readonly now: () => Date;
};

type Place = "token" | "claim" | "jwt" | "login-key";
type Sort = "hmac" | "tunnel-jwt" | "stellar-jwt" | "claim" | undefined;

/** What may lie where; what has the form of none of the sorts is judged as what belongs there. */
const sortsOfPlace: Readonly<Record<Place, readonly Sort[]>> = {
  token: ["hmac", "tunnel-jwt", undefined],
  claim: ["claim", undefined],
  jwt: ["stellar-jwt", undefined],
  "login-key": ["tunnel-jwt", undefined],
};

/**
 * Reads the credential of a Login. Refuses with `CREDENTIAL_IN_AUTH_TOKEN` (frps's own key is not the one of an empty
 * token: with it frpc would print "login success" for ever), `CREDENTIAL_MISSING`, `CREDENTIAL_TWICE`,
 * `CREDENTIAL_MISPLACED`, `TOKEN_FILE_MALFORMED`, `STARTING_UP`, or as the reader of its kind does. Never throws.
 */
export function readCredential(login: LoginContent, settings: CredentialSettings): Verdict<Presented> {
  const { metas, privilegeKey } = login;
  const isPlainKey = privilegeKey === deriveLoginKey("", login.timestamp);
  if (!isPlainKey && /^[0-9a-f]{32}$/i.test(privilegeKey)) return refuse("CREDENTIAL_IN_AUTH_TOKEN");
  // Of a token-source file that is empty: frpc sends what is in it.
  if (privilegeKey === "") return refuse("CREDENTIAL_MISSING");
  const { token = "", jwt = "" } = metas;
  const isClaimed = isSet(metas, "auth_claim") || isSet(metas, "auth_sig");
  if (Number(token !== "") + Number(jwt !== "") + Number(isClaimed) + Number(!isPlainKey) > 1) return refuse("CREDENTIAL_TWICE");
  if (token !== "") return readIn("token", token, login, settings);
  if (jwt !== "") return readIn("jwt", jwt, login, settings);
  if (!isPlainKey) return readIn("login-key", privilegeKey, login, settings);
  // Who sends what belongs to a claim, and no claim, is told so.
  if (isClaimed || claimMetas.some((name) => isSet(metas, name))) return readIn("claim", metas["auth_claim"] ?? "", login, settings);
  return refuse("CREDENTIAL_MISSING");
}

const claimMetas = ["wallet", "owner", "run_id"] as const;
const isSet = (metas: Readonly<Record<string, string>>, name: string): boolean => (metas[name] ?? "") !== "";

function readIn(place: Place, text: string, login: LoginContent, settings: CredentialSettings): Verdict<Presented> {
  const sort = sortOf(text);
  if (!sortsOfPlace[place].includes(sort)) return refuse("CREDENTIAL_MISPLACED");
  if (place === "claim") return readClaim(login.metas, settings);
  if (place === "jwt") return readStellarJwt(text, settings);
  if (place === "login-key") return sort === undefined ? refuse("TOKEN_FILE_MALFORMED") : grant(presentFile(text, settings));
  return grant(sort === "tunnel-jwt" ? presentJwt(text, settings) : presentToken(text, settings));
}

/** What a text looks like, whatever is wrong with it otherwise. Nothing is believed for it. */
function sortOf(text: string): Sort {
  if (text.startsWith("frp_")) return "hmac";
  const parts = text.split(".", 4);
  if (parts.length === 1) return isClaim(text) ? "claim" : undefined;
  if (parts.length !== 3) return undefined;
  const [header = "", payload = ""] = parts;
  if (readPart(header)?.["typ"] === tunnelJwtType) return "tunnel-jwt";
  return readPart(payload)?.["iss"] === "hvym_tunnler" ? "stellar-jwt" : undefined;
}

/** A whole object, and not what is left of a JWT that was cut within its header or right behind it. */
function isClaim(text: string): boolean {
  // What begins an object: `{"`.
  if (!/^eyJ[\w-]+$/.test(text)) return false;
  const value = readPart(text);
  return value !== undefined && value["alg"] === undefined;
}

/** Of a text or a number every member is undefined. */
function readPart(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as Readonly<Record<string, unknown>> | null;
    return value ?? undefined;
  } catch {
    return undefined;
  }
}

const presentToken = (text: string, { tokenKeys }: CredentialSettings): Presented => ({
  kind: "hmac",
  check: () => map(readTunnelToken(text, tokenKeys()), ({ label, issuedAt }) => ({ label, kind: "hmac", issuedAt })),
});

const presentJwt = (text: string, { verifyKeys, domain }: CredentialSettings): Presented => ({
  kind: "jwt",
  check: () => map(readTunnelJwt(text, verifyKeys(), domain), (token) => ({ ...token, kind: "jwt" })),
});

/** The same from a token-source file: it may have been read while it was being written. */
function presentFile(text: string, settings: CredentialSettings): Presented {
  const { kind, check } = presentJwt(text, settings);
  return {
    kind,
    check() {
      const checked = check();
      return !checked.granted && checked.refusal.code === "TOKEN_MALFORMED" ? refuse("TOKEN_FILE_MALFORMED") : checked;
    },
  };
}

function readClaim(metas: LoginContent["metas"], { audience, now }: CredentialSettings): Verdict<Presented> {
  return map(parseVanaClaim(metas, { audience, now: now() }), ({ check }) => ({
    kind: "claim",
    check: () => map(check(), (claim) => ({ label: claim.label, kind: "claim", issuedAt: claim.issuedAt, endsAt: claim.endsAt, claim })),
  }));
}

function readStellarJwt(text: string, { stellarAddress, now }: CredentialSettings): Verdict<Presented> {
  const audience = stellarAddress();
  if (audience === undefined) return refuse("STARTING_UP");
  return map(parseStellarJwt(text, { audience, now: now() }), ({ check }) => ({
    kind: "stellar-jwt",
    check: () => map(check(), ({ identity: _identity, ...jwt }) => ({ ...jwt, kind: "stellar-jwt" })),
  }));
}

function map<From, To>(verdict: Verdict<From>, use: (value: From) => To): Verdict<To> {
  return verdict.granted ? grant(use(verdict.value)) : verdict;
}

/** Refusals of `check` that a signature was looked at for: the others cost nothing. */
const signatureCodes: ReadonlySet<Refusal["code"]> = new Set([
  "TOKEN_SIGNATURE",
  "SIGNATURE_INVALID",
  "SIGNATURE_NON_CANONICAL",
  "SIGNATURE_LENGTH",
  "SIGNER_MISMATCH",
]);

/** True when somebody presented what its holder did not sign. */
export const isFailedProof = ({ code }: Refusal): boolean => signatureCodes.has(code);
