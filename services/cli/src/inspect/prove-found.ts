/**
 * Who made a credential, by our keys and its holder's signature, whatever its time: one that has expired is still somebody's, and
 * the operator wants to know whose. Its time is judged apart.
 */
import {
  type CredentialKind,
  type Label,
  parseJws,
  parseStellarJwt,
  parseVanaClaim,
  type Refusal,
  readTunnelJwt,
  readTunnelToken,
  refuse,
  tunnelJwtType,
  type Verdict,
  type VerifyKey,
} from "@keyhole/core";
import type { StoredKey } from "../state/key-folder.ts";
import type { FoundCredential } from "./find-credential.ts";

/** What credentials are checked with. */
export type InspectKeys = {
  readonly tokenKeys: readonly StoredKey[];
  readonly verifyKeys: readonly VerifyKey[];
  readonly domain: string;
  /** The account that Stellar JWTs are made for; undefined where the token service never ran. */
  readonly stellarAddress: string | undefined;
  readonly audience: string;
};

/** A credential whose maker is known. */
export type ProvedCredential = {
  readonly label: Label;
  readonly kind: CredentialKind;
  readonly issuedAt: Date;
  /** Where it says so itself. */
  readonly endsAt: Date | undefined;
  /** The key of ours that made it; undefined for what its holder signed. */
  readonly keyId: string | undefined;
  /** What its time is refused for. */
  readonly untimely: Refusal | undefined;
  /** What a registry has still to confirm. */
  readonly needs: string | undefined;
};

/** Proves it, or says why nobody can be believed to have made it. Never throws. */
export function proveFound(found: FoundCredential, keys: InspectKeys, now: Date): Verdict<ProvedCredential> {
  switch (found.kind) {
    case "hmac":
      return proveToken(found.text, keys.tokenKeys);
    case "jwt":
      return proveJwt(found.text, keys);
    case "stellar-jwt":
      return proveStellarJwt(found.text, keys, now);
    case "claim":
      return proveClaim(found.metas, keys, now);
  }
}

const nothing = { endsAt: undefined, keyId: undefined, untimely: undefined, needs: undefined } as const;

function proveToken(text: string, keys: readonly StoredKey[]): Verdict<ProvedCredential> {
  const tried = keys.map(({ id, bytes }) => ({ id, verdict: readTunnelToken(text, { keys: [{ id, secret: bytes }] }) }));
  const made = tried.find(({ verdict }) => verdict.granted) ?? tried[0];
  if (made === undefined) return refuse("TOKEN_SIGNATURE");
  if (!made.verdict.granted) return made.verdict;
  return { granted: true, value: { ...nothing, ...made.verdict.value, kind: "hmac", keyId: made.id } };
}

function proveJwt(text: string, { verifyKeys, domain }: InspectKeys): Verdict<ProvedCredential> {
  const token = readTunnelJwt(text, verifyKeys, domain);
  if (!token.granted) return token;
  const jws = parseJws(text);
  const keyId = jws?.header["typ"] === tunnelJwtType ? String(jws.header["kid"]) : undefined;
  return { granted: true, value: { ...nothing, ...token.value, kind: "jwt", keyId } };
}

/** As its own time is, and then as ours is. */
function proveStellarJwt(text: string, { stellarAddress: audience }: InspectKeys, now: Date): Verdict<ProvedCredential> {
  if (audience === undefined) return refuse("STARTING_UP");
  const atItsTime = parseStellarJwt(text, { audience, now: instantOf(parseJws(text)?.payload["iat"]) ?? now });
  if (!atItsTime.granted) return atItsTime;
  const checked = atItsTime.value.check();
  if (!checked.granted) return checked;
  const timely = parseStellarJwt(text, { audience, now });
  return {
    granted: true,
    value: { ...nothing, ...checked.value, kind: "stellar-jwt", untimely: timely.granted ? undefined : timely.refusal },
  };
}

function proveClaim(metas: Readonly<Record<string, string>>, { audience }: InspectKeys, now: Date): Verdict<ProvedCredential> {
  const atItsTime = parseVanaClaim(metas, { audience, now: instantOf(readClaim(metas["auth_claim"] ?? "")["iat"]) ?? now });
  if (!atItsTime.granted) return atItsTime;
  const checked = atItsTime.value.check();
  if (!checked.granted) return checked;
  const timely = parseVanaClaim(metas, { audience, now });
  const { label, issuedAt, endsAt, needs } = checked.value;
  const asked = needs === "nothing" ? undefined : needs;
  return {
    granted: true,
    value: { ...nothing, label, issuedAt, endsAt, kind: "claim", needs: asked, untimely: timely.granted ? undefined : timely.refusal },
  };
}

function readClaim(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function instantOf(seconds: unknown): Date | undefined {
  const at = typeof seconds === "number" ? new Date(seconds * 1000) : undefined;
  return at === undefined || Number.isNaN(at.getTime()) ? undefined : at;
}
