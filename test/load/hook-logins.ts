/**
 * Login calls as frps sends them, one wallet each that never came before, with a credential of one kind: the tunnel token
 * in its HMAC form, the same as a JWT in frpc's token source, the personal server's claim, the account's JWT of a Stellar client.
 */
import { randomBytes, randomUUID } from "node:crypto";
import {
  addressOfPrivateKey,
  type CredentialKind,
  derivePrivateKey,
  deriveTunnelJwtClaims,
  type Label,
  type MacKey,
  mintTunnelToken,
  parseLabel,
  printIdentity,
  publicKeyOfSeed,
  signEd25519,
  signPersonalMessage,
  type TokenRecord,
  type TokenStore,
  tunnelJwtType,
} from "@keyhole/core";
import { deriveLoginKey } from "@keyhole/frp";

/** `forged`: an HMAC token of a key that is not ours; nobody bought it, and nobody looks for it. */
export type LoginKind = CredentialKind | "forged";

/** One Login, ready to be posted. */
export type PreparedLogin = { readonly label: string; readonly body: string };

/** What credentials are made of. */
export type LoginMaterial = {
  readonly domain: string;
  readonly tokens: TokenStore;
  readonly ttlSeconds: number;
  readonly macKey: MacKey;
  /** The Ed25519 key of tunnel JWTs. */
  readonly signingKey: { readonly id: string; readonly seed: Uint8Array };
  /** Whom Stellar JWTs are made for. */
  readonly stellarAddress: string;
  /** What claims are made for. */
  readonly audience: string;
};

type Presented = { readonly label: string; readonly fields: object };

/** The store refuses more than it can write; a wave is one transaction or a few. */
const batch = 1000;
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const secondsOf = (instant: Date): number => Math.floor(instant.getTime() / 1000);

/** Prepares so many of one kind. */
export async function prepareLogins(kind: LoginKind, count: number, material: LoginMaterial): Promise<PreparedLogin[]> {
  const logins: PreparedLogin[] = [];
  while (logins.length < count) {
    const length = Math.min(batch, count - logins.length);
    const wave = await Promise.all(Array.from({ length }, () => present(kind, material)));
    logins.push(...wave.map(({ label, fields }, index) => ({ label, body: renderLogin(fields, logins.length + index) })));
  }
  return logins;
}

function renderLogin(fields: object, index: number): string {
  const timestamp = secondsOf(new Date());
  const content = {
    version: "0.71.0",
    hostname: "desktop",
    os: "linux",
    arch: "amd64",
    privilege_key: deriveLoginKey("", timestamp),
    timestamp,
    pool_count: 1,
    client_spec: {},
    client_address: `127.0.0.1:${20_000 + (index % 40_000)}`,
    ...fields,
  };
  return JSON.stringify({ version: "0.1.0", op: "Login", content });
}

async function present(kind: LoginKind, material: LoginMaterial): Promise<Presented> {
  switch (kind) {
    case "hmac":
      return presentToken(await buy("hmac", material, material.macKey.id), material.macKey);
    case "forged":
      return presentToken({ label: drawLabel(), issuedAt: new Date() }, { id: material.macKey.id, secret: randomBytes(32) });
    case "jwt":
      return await presentJwt(material);
    case "claim":
      return presentClaim(material);
    case "stellar-jwt":
      return presentAccount(material);
  }
}

const drawLabel = (): Label => parseLabel(`0x${randomBytes(20).toString("hex")}`) as Label;

async function buy(kind: "hmac" | "jwt", { tokens, ttlSeconds }: LoginMaterial, keyId: string): Promise<TokenRecord> {
  const label = drawLabel();
  const now = new Date();
  const order = {
    label,
    kind,
    proofKey: `bench:${label}`,
    provedAt: now,
    proofEndsAt: now,
    now,
    ttlSeconds,
    keyId,
    isExclusive: false,
    repeat: undefined,
  };
  const outcome = await tokens.orderToken(order);
  if (outcome.outcome !== "recorded") throw new Error(`no token: ${outcome.outcome}`);
  return outcome.token;
}

function presentToken(token: Pick<TokenRecord, "label" | "issuedAt">, key: MacKey): Presented {
  return { label: token.label, fields: { user: token.label, metas: { token: mintTunnelToken(token, key) } } };
}

async function presentJwt(material: LoginMaterial): Promise<Presented> {
  const { signingKey, domain } = material;
  const record = await buy("jwt", material, signingKey.id);
  const header = { alg: "EdDSA", typ: tunnelJwtType, kid: signingKey.id };
  return { label: record.label, fields: { privilege_key: signJws(header, deriveTunnelJwtClaims(record, domain), signingKey.seed) } };
}

/** As the real one: a server's own key signs for its owner's sake. */
function presentClaim({ audience }: LoginMaterial): Presented {
  const key = derivePrivateKey(randomBytes(32));
  const wallet = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  const owner = printIdentity({ namespace: "eip155", address: randomBytes(20) });
  const label = wallet.toLowerCase();
  const runId = randomUUID();
  const iat = secondsOf(new Date());
  const claim = encode({ aud: audience, iat, exp: iat + 300, owner, wallet, subdomain: label, runId });
  const metas = { wallet, owner, run_id: runId, auth_claim: claim, auth_sig: signPersonalMessage(claim, key) };
  return { label, fields: { version: "0.67.0", metas } };
}

function presentAccount({ stellarAddress }: LoginMaterial): Presented {
  const seed = randomBytes(32);
  const account = printIdentity({ namespace: "stellar", publicKey: publicKeyOfSeed(seed) });
  const iat = secondsOf(new Date());
  const claims = { iss: "hvym_tunnler", sub: account, aud: stellarAddress, iat, services: ["pintheon"], exp: iat + 3600 };
  const jwt = signJws({ alg: "EdDSA", typ: "JWT", kid: account }, claims, seed);
  return { label: account.toLowerCase(), fields: { metas: { jwt } } };
}

function signJws(header: object, payload: object, seed: Uint8Array): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${Buffer.from(signEd25519(Buffer.from(text, "ascii"), seed)).toString("base64url")}`;
}
