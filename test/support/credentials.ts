/**
 * Credentials of every kind as their makers make them, and as they can be spoilt. Nothing here is made with what Keyhole
 * checks them with: viem signs for EVM wallets, stellar-sdk for Stellar accounts, node:crypto the rest.
 */
import { createHash, createHmac, createPrivateKey, randomUUID, sign } from "node:crypto";
import { Keypair } from "@stellar/stellar-sdk";
import { type Hex, toHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { recordSecret, recordToken } from "./test-record.ts";

/** Who holds a key of an EVM wallet. */
export type EvmHolder = {
  readonly address: string;
  readonly label: string;
  /** EIP-191 over the text. */
  readonly sign: (text: string) => Promise<string>;
};

/** Who holds the key of a Stellar account. */
export type StellarHolder = { readonly address: string; readonly label: string; readonly sign: (bytes: Buffer) => Buffer };

const texts = {
  token: "Sign this message to authorize tunnel access for your Vana Personal Server.",
  revoke: "Sign this message to revoke all tunnel access for your Vana Personal Server.",
} as const;

/** The body that asks the public API for a token, or for the end of all of them. */
export async function prove(
  holder: EvmHolder | StellarHolder,
  purpose: keyof typeof texts,
  timestamp: number,
): Promise<{ walletAddress: string; timestamp: number; signature: string }> {
  const { address } = holder;
  const text = `${texts[purpose]}\n\nWallet: ${address}\nTimestamp: ${timestamp}`;
  const proofOf = (signature: string) => ({ walletAddress: address, timestamp, signature: recordSecret("a proof's signature", signature) });
  if (address.startsWith("0x")) return proofOf(await (holder as EvmHolder).sign(text));
  // SEP-53.
  const digest = createHash("sha256").update(`Stellar Signed Message:\n${text}`).digest();
  return proofOf((holder as StellarHolder).sign(digest).toString("base64"));
}

/** The five metadatas of the personal server. */
export type ClaimMetas = Readonly<Record<"wallet" | "owner" | "run_id" | "auth_claim" | "auth_sig", string>>;

/** Makes an EVM wallet; of 32 bytes, or a new one. */
export function makeEvmHolder(key?: Uint8Array): EvmHolder {
  const account = privateKeyToAccount(recordSecret("a wallet's key", key === undefined ? generatePrivateKey() : (toHex(key) as Hex)));
  return { address: account.address, label: account.address.toLowerCase(), sign: (text) => account.signMessage({ message: text }) };
}

/** Makes a Stellar account. */
export function makeStellarHolder(): StellarHolder {
  const pair = Keypair.random();
  recordSecret("a wallet's key", pair.secret());
  recordSecret("a wallet's key", Buffer.from(pair.rawSecretKey()).toString("hex"));
  const address = pair.publicKey();
  return { address, label: address.toLowerCase(), sign: (bytes) => Buffer.from(pair.sign(bytes)) };
}

/** Unix seconds, so far from now. */
export const secondsFromNow = (seconds = 0): number => Math.floor(Date.now() / 1000) + seconds;

/** A claim that the server's own key signs, as the personal server's does, with what the options change in it. */
export async function makeClaim(
  signer: EvmHolder,
  options: {
    readonly claim?: Record<string, unknown>;
    readonly metas?: Partial<ClaimMetas>;
    readonly wallet?: string;
    readonly owner?: string;
  } = {},
): Promise<ClaimMetas> {
  const { wallet = signer.address, owner = wallet } = options;
  const runId = randomUUID();
  const iat = secondsFromNow();
  const payload = {
    aud: "https://tunnel.vana.org",
    iat,
    exp: iat + 300,
    owner,
    wallet,
    subdomain: wallet.toLowerCase(),
    runId,
    ...options.claim,
  };
  const claim = Buffer.from(JSON.stringify(payload)).toString("base64url");
  return {
    wallet,
    owner,
    run_id: runId,
    auth_claim: claim,
    auth_sig: recordSecret("a claim's signature", await signer.sign(claim)),
    ...options.metas,
  };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The JWT of a Stellar account (HVYM), with what the options change in it. */
export function makeStellarJwt(
  holder: StellarHolder,
  audience: string,
  options: { readonly header?: Record<string, unknown>; readonly payload?: Record<string, unknown> } = {},
): string {
  const iat = secondsFromNow();
  const header = { alg: "EdDSA", typ: "JWT", kid: holder.address, ...options.header };
  const payload = {
    iss: "hvym_tunnler",
    sub: holder.address,
    aud: audience,
    iat,
    services: ["pintheon"],
    exp: iat + 3600,
    ...options.payload,
  };
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${recordSecret("a Stellar JWT's signature", holder.sign(Buffer.from(text)).toString("base64url"))}`;
}

/** A tunnel token in its HMAC form. */
export function makeHmacToken(token: { readonly label: string; readonly issuedAt: number; readonly secret: Buffer }): string {
  const body = `frp_${Buffer.from(token.label).toString("base64url")}_${token.issuedAt}_`;
  return recordToken(body + createHmac("sha256", token.secret).update(body).digest("hex"));
}

/** A tunnel token as a JWT. `seed` is the 32 bytes of an Ed25519 key. */
export function makeTunnelJwt(
  token: { readonly label: string; readonly issuedAt: number; readonly endsAt: number; readonly domain: string },
  key: { readonly id: string; readonly seed: Buffer },
): string {
  const { label, issuedAt, endsAt, domain } = token;
  const payload = { iss: domain, aud: domain, sub: label, subdomain: label, iat: issuedAt, exp: endsAt };
  const text = `${encode({ alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: key.id })}.${encode(payload)}`;
  // PKCS #8 of an Ed25519 seed (RFC 8410 §7).
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), key.seed]);
  return recordToken(
    `${text}.${sign(null, Buffer.from(text), createPrivateKey({ key: der, format: "der", type: "pkcs8" })).toString("base64url")}`,
  );
}
