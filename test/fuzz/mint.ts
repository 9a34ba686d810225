/**
 * Good credentials of every kind, made without our minters, and credentials that are wrong although their key is right:
 * what says too much is signed as well as what says enough, or nothing behind a signature would ever be reached.
 */
import { createHmac, sign } from "node:crypto";
import type { Prng } from "../chaos/prng.ts";
import { mutateJson, mutateText, printOddJson } from "./mutate.ts";
import type { FuzzWallet, FuzzWorld } from "./world.ts";

/** What the personal server puts into `metadatas`. */
export type ClaimMetas = Record<string, string>;

const encode = (text: string): string => Buffer.from(text, "utf8").toString("base64url");

/** Seconds from now at which something may have been issued: mostly just now, and on both sides of every limit. */
const shifts = [0, 0, 0, 0, -1, -30, -250, 1, 2, 3, 30, 59, 60, 61, -299, -361, -3540, -3599, -3600, -3601, -86_400, 86_400];

/** When, in seconds; `now` when `isGood`. */
const instant = (world: FuzzWorld, prng: Prng, isGood: boolean): number =>
  world.nowSeconds + (isGood ? prng.pick([0, -1, -30]) : prng.pick(shifts));

/** An HMAC tunnel token. */
export function mintHmacToken(world: FuzzWorld, prng: Prng, isGood: boolean): string {
  const { label } = prng.pick(world.wallets);
  const body = `frp_${encode(isGood || prng.chance(0.9) ? label : mutateText(label, prng))}_${instant(world, prng, isGood)}_`;
  const secret = isGood || prng.chance(0.9) ? world.ring.keys[0].secret : world.foreignMacKey;
  return body + createHmac("sha256", secret).update(body).digest("hex");
}

/** A ticket: 47 bytes in base64url. */
export function mintTicketText(
  world: FuzzWorld,
  prng: Prng,
  isGood: boolean,
  of?: FuzzWallet,
): { readonly label: string; readonly ticket: string } {
  const { label } = of ?? prng.pick(world.wallets);
  const bytes = Buffer.alloc(47);
  const issuedAt = instant(world, prng, isGood);
  bytes.writeUIntBE(world.now.getTime() + prng.between(-1000, 1000), 0, 6);
  bytes.writeUInt32BE(issuedAt, 6);
  bytes.writeUInt32BE(isGood ? world.nowSeconds + 3600 : issuedAt + prng.pick([0, 300, 3600]), 10);
  bytes.writeUInt8(isGood ? prng.between(1, 4) : prng.between(0, 6), 14);
  for (let index = 15; index < 31; index += 1) bytes[index] = prng.between(0, 255);
  const secret = isGood || prng.chance(0.9) ? world.ring.keys[0].secret : world.foreignMacKey;
  const mac = createHmac("sha256", secret)
    .update(Buffer.concat([Buffer.from(`${label}\n`, "latin1"), bytes.subarray(0, 31)]))
    .digest();
  mac.copy(bytes, 31, 0, 16);
  return { label, ticket: bytes.toString("base64url") };
}

/** Signs a JWS of these parts; `isGood` false may alter each of them before. */
function signJws(
  header: Record<string, unknown>,
  payload: Record<string, unknown>,
  prng: Prng,
  isGood: boolean,
  signBytes: (bytes: Uint8Array) => Uint8Array,
): string {
  const spoil = (part: Record<string, unknown>): string => {
    if (isGood || prng.chance(0.5)) return JSON.stringify(part);
    const value = prng.chance(0.7) ? mutateJson(part, prng) : part;
    return prng.chance(0.5) ? printOddJson(value, prng) : (JSON.stringify(value) ?? "null");
  };
  const text = `${encode(spoil(header))}.${encode(spoil(payload))}`;
  return `${text}.${Buffer.from(signBytes(Buffer.from(text))).toString("base64url")}`;
}

/** A tunnel JWT of the service. */
export function mintTunnelJwt(world: FuzzWorld, prng: Prng, isGood: boolean): string {
  const { label } = prng.pick(world.wallets);
  const key = isGood || prng.chance(0.9) ? prng.pick(world.signingKeys) : world.foreignSigningKey;
  const iat = instant(world, prng, isGood);
  const header = { alg: "EdDSA", typ: "keyhole-tunnel+jwt", kid: key.id };
  const { domain } = world;
  const payload = {
    iss: domain,
    aud: domain,
    sub: label,
    subdomain: label,
    iat,
    exp: iat + (isGood ? 3600 : prng.pick([3600, 60, 0, 86_400])),
  };
  return signJws(header, payload, prng, isGood, (bytes) => sign(null, bytes, key.privateKey));
}

/** Points of small order, as accounts: anybody can sign for them, mostly with zeros. */
const weakAccounts = [
  "GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF",
  "GAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMDS",
];

/** What a Stellar wallet signs for HVYM. */
export function mintStellarJwt(world: FuzzWorld, prng: Prng, isGood: boolean): string {
  const wallet = prng.pick(world.stellar);
  const iat = instant(world, prng, isGood);
  const isWeak = !isGood && prng.chance(0.03);
  const sub = isWeak ? prng.pick(weakAccounts) : wallet.address;
  const header = prng.chance(0.7) ? { alg: "EdDSA", typ: "JWT", kid: sub } : { alg: "EdDSA", typ: "JWT" };
  const exp = iat + (isGood ? prng.pick([3600, 300]) : prng.pick([3600, 3601, 300, 1, 0, -1, 86_400]));
  const payload = { iss: "hvym_tunnler", sub, aud: world.stellarAddress, iat, services: ["pintheon"], exp };
  const zeros = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
  return signJws(header, payload, prng, isGood, (bytes) => (isWeak ? zeros : wallet.signBytes(bytes)));
}

/** What the personal server sends: a claim that one of two keys signed, and the same facts beside it. */
export function mintClaim(world: FuzzWorld, prng: Prng, isGood: boolean): ClaimMetas {
  const [wallet, owner] = [prng.pick(world.evm), prng.pick(world.evm)];
  const signer = isGood || prng.chance(0.7) ? wallet : prng.pick([owner, prng.pick(world.evm)]);
  const iat = instant(world, prng, isGood);
  const runId = `cdb53304-9330-440a-9074-${String(prng.between(0, 999_999)).padStart(12, "0")}`;
  const named = { wallet: wallet.address, owner: prng.chance(0.5) ? wallet.address : owner.address };
  const exp = iat + (isGood ? 300 : prng.pick([300, 300, 600, 601, 0, -1, 3600, 1e9]));
  const claim: Record<string, unknown> = { aud: world.audience, iat, exp, ...named, subdomain: wallet.label, runId };
  const spoilt = isGood || prng.chance(0.5) ? claim : mutateJson(claim, prng);
  const text = encode(isGood || prng.chance(0.8) ? (JSON.stringify(spoilt) ?? "") : printOddJson(spoilt, prng));
  return { ...named, run_id: runId, auth_claim: text, auth_sig: signer.sign(text) };
}

/** What a wallet signs for the public API. */
export type ProofBody = { readonly walletAddress: string; readonly timestamp: number; readonly signature: string };

/** The body of a token request, or of a revocation. */
export function mintProof(world: FuzzWorld, prng: Prng, isGood: boolean, purpose: "token" | "revoke"): ProofBody {
  const wallet = prng.pick(world.wallets);
  const timestamp = isGood ? world.nowSeconds + prng.between(-290, 290) : world.nowSeconds + prng.pick(shifts);
  const named = prng.pick([wallet.address, wallet.kind === "evm" ? wallet.label : wallet.address]);
  const said = isGood || prng.chance(0.8) ? named : mutateText(named, prng);
  return {
    walletAddress: said,
    timestamp,
    signature: wallet.sign(printOrder({ walletAddress: said, timestamp }, world.productName, purpose)),
  };
}

/** The text of the public API, once more, by hand. */
export function printOrder(
  order: { readonly walletAddress: string; readonly timestamp: number },
  productName: string,
  purpose: "token" | "revoke",
): string {
  const first =
    purpose === "token"
      ? `Sign this message to authorize tunnel access for your ${productName}.`
      : `Sign this message to revoke all tunnel access for your ${productName}.`;
  return `${first}\n\nWallet: ${order.walletAddress}\nTimestamp: ${order.timestamp}`;
}
