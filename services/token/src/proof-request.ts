/**
 * Which proof a request carries. Told apart by what is there: a signed body, or a Stellar JWT as Bearer. One of both, never
 * two. Other schemes of `Authorization` are somebody else's business (the personal server signs every request with one).
 */
import { deriveLabel, grant, type Identity, type Label, type ProofPurpose, refuse, type Verdict } from "@keyhole/core";
import { tellField } from "./request-body.ts";
import type { TokenAppDeps } from "./token-app-deps.ts";
import { parseSignedOrder, type SignedOrder } from "./token-order.ts";

/** A proof whose form is good, and whose signature nobody has looked at. */
export type UnprovenRequest = { readonly kind: "signed"; readonly order: SignedOrder } | { readonly kind: "jwt"; readonly jwt: string };

/** Who it is, and what the proof is spent as. */
export type Proven = {
  readonly identity: Identity;
  readonly label: Label;
  /** A JWT says nothing about what it is for. */
  readonly proofKind: UnprovenRequest["kind"];
  /** What was proved, never how it was written: a signature has several spellings. When comes first: what is spent together lies together. */
  readonly proofKey: string;
  /** Past this the proof is refused for its age, whatever becomes of our clock within reason. */
  readonly proofEndsAt: Date;
  /** When it was signed, in Unix seconds, as the proof says. */
  readonly signedAt: number;
  /** The same at the earliest: the clock of who signed a JWT may be a minute ahead of ours, and nothing of before a revocation may outlive it. */
  readonly provedAt: Date;
};

const jwtAheadSeconds = 60;

const signedFields = ["walletAddress", "timestamp", "signature"];
const fieldsOf: Readonly<Record<ProofPurpose, ReadonlySet<string>>> = {
  token: new Set([...signedFields, "tokenType"]),
  revoke: new Set(signedFields),
};
const bearer = /^bearer(?: +(.*))?$/i;

/** Names a field that the endpoint does not know. */
export function checkFields(fields: Readonly<Record<string, unknown>>, purpose: ProofPurpose): Verdict<true> {
  const unknown = Object.keys(fields).find((name) => !fieldsOf[purpose].has(name));
  return unknown === undefined ? grant(true) : refuse("UNKNOWN_FIELD", tellField(unknown));
}

/** Reads the proof of a request. Never throws. */
export function parseProofRequest(
  request: { readonly fields: Readonly<Record<string, unknown>>; readonly authorization: string | undefined },
  settings: { readonly purpose: ProofPurpose; readonly timestampWindowSeconds: number; readonly now: Date },
): Verdict<UnprovenRequest> {
  const credentials = bearer.exec(request.authorization ?? "");
  if (credentials !== null) {
    if (signedFields.some((name) => Object.hasOwn(request.fields, name))) return refuse("PROOF_TWICE");
    // The JWT says nothing about what it is for, and buys tokens: whoever holds it must not end all tunnels with it.
    return settings.purpose === "token" ? grant({ kind: "jwt", jwt: credentials[1] ?? "" }) : refuse("WALLET_REQUIRED");
  }
  const order = parseSignedOrder(request.fields, settings);
  return order.granted ? grant({ kind: "signed", order: order.value }) : order;
}

/** Has the signature checked. */
export function prove(
  request: UnprovenRequest,
  purpose: ProofPurpose,
  { verifyProof, checkStellarJwt, settings }: Pick<TokenAppDeps, "verifyProof" | "checkStellarJwt" | "settings">,
): Verdict<Proven> {
  const { timestampWindowSeconds } = settings;
  if (request.kind === "jwt") {
    const jwt = checkStellarJwt(request.jwt);
    if (!jwt.granted) return jwt;
    const { identity, label, issuedAt, endsAt } = jwt.value;
    const signedAt = Math.floor(issuedAt.getTime() / 1000);
    const proofEndsAt = new Date(endsAt.getTime() + timestampWindowSeconds * 1000);
    const provedAt = new Date((signedAt - jwtAheadSeconds) * 1000);
    return grant({ identity, label, proofKey: `${signedAt}:${purpose}-jwt:${label}`, proofEndsAt, signedAt, provedAt, proofKind: "jwt" });
  }
  const { timestamp } = request.order;
  const identity = verifyProof(request.order, purpose);
  if (!identity.granted) return identity;
  const label = deriveLabel(identity.value);
  // Twice the window, so that neither a clock that is set back nor a wider window makes a forgotten proof good again.
  const proofEndsAt = new Date((timestamp + 2 * timestampWindowSeconds + 1) * 1000);
  const proofKey = `${timestamp}:${purpose}:${label}`;
  const provedAt = new Date(timestamp * 1000);
  return grant({ identity: identity.value, label, proofKey, proofEndsAt, signedAt: timestamp, provedAt, proofKind: "signed" });
}
