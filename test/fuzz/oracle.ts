/**
 * The second opinion. For everything that was admitted it finds out, with other libraries and its own reading of the forms,
 * whether it had to be refused: HMAC by `createHmac`, EdDSA by jose, EIP-191 by viem, Stellar by stellar-sdk. It imports no
 * verifier of ours. Each judge says why not, or nothing.
 */
import { createHash, createHmac } from "node:crypto";
import { Keypair } from "@stellar/stellar-sdk";
import { importJWK, jwtVerify } from "jose";
import { isAddress, recoverMessageAddress } from "viem";
import { printOrder } from "./mint.ts";
import { isLabel, isWholeSeconds, stellarKeyOf, strictBase64Url, strictObject } from "./strict-forms.ts";
import type { FuzzWorld } from "./world.ts";

/** Why it must not have been admitted; nothing when it may be. */
export type Doubt = string | undefined;

/** What an admitted credential gave its bearer, as far as it was told. Instants in ms. */
export type Granted = { readonly label: string; readonly issuedAt?: number; readonly endsAt?: number };

/** What a ticket was read as. Instants in ms. */
type GrantedTicket = { readonly generation: number; readonly issuedAt: number; readonly endsAt: number };

/** The oracle of one world. */
export type Oracle = {
  /** The text is one that our key made for this label at this second. Says nothing about its end. */
  hmacToken(text: string, granted: Granted): Doubt;
  ticket(label: string, text: string, granted?: GrantedTicket): Doubt;
  tunnelJwt(text: string, granted: Granted): Promise<Doubt>;
  /** The whole of it: signature, form, audience and times. */
  stellarJwt(text: string, granted: Granted): Promise<Doubt>;
  claim(metas: Readonly<Record<string, unknown>>, granted: Granted & { readonly needs?: string }): Promise<Doubt>;
  /** The signature alone: the timestamp is judged where there is a clock. */
  proof(body: Readonly<Record<string, unknown>>, purpose: "token" | "revoke", label: string): Promise<Doubt>;
};

const halfOrder = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** Makes the oracle of this world. */
export function createOracle(world: FuzzWorld): Oracle {
  const { nowSeconds } = world;
  const keys = new Map(
    world.signingKeys.map(({ id, publicKey }) => [
      id,
      importJWK({ kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey).toString("base64url") }, "EdDSA"),
    ]),
  );
  const currentDate = world.now;

  function hmacToken(text: string, granted: Granted): Doubt {
    const parts = text.split("_");
    const [head, encoded = "", seconds = "", mac] = parts;
    if (parts.length !== 4 || head !== "frp") return "it does not have four parts, frp first";
    const label = strictBase64Url(encoded)?.toString("latin1") ?? "";
    if (!isLabel(label)) return "its label is none, or has another spelling";
    if (label !== granted.label) return `it is of ${label}, and ${granted.label} was granted`;
    if (String(Number(seconds)) !== seconds || !isWholeSeconds(Number(seconds))) return "its seconds have another spelling";
    if (isOther(Number(seconds) * 1000, granted.issuedAt)) return "it was issued at another second than was granted";
    const body = `${head}_${encoded}_${seconds}_`;
    const isOurs = world.ring.keys.some(({ secret }) => createHmac("sha256", secret).update(body, "utf8").digest("hex") === mac);
    return isOurs ? undefined : "none of our keys made it";
  }

  function ticket(label: string, text: string, granted?: GrantedTicket): Doubt {
    const bytes = strictBase64Url(text);
    if (bytes?.length !== 47) return "it is not 47 bytes in canonical base64url";
    if (!isLabel(label)) return "its label is none";
    const authenticated = Buffer.concat([Buffer.from(`${label}\n`, "latin1"), bytes.subarray(0, 31)]);
    const isOurs = world.ring.keys.some(({ secret }) =>
      createHmac("sha256", secret).update(authenticated).digest().subarray(0, 16).equals(bytes.subarray(31)),
    );
    if (!isOurs) return "none of our keys made it for this label";
    const said = { generation: bytes.readUIntBE(0, 6), issuedAt: bytes.readUInt32BE(6) * 1000, endsAt: bytes.readUInt32BE(10) * 1000 };
    const kind = bytes.readUInt8(14);
    if (kind < 1 || kind > 4) return `there is no kind ${kind}`;
    if (granted === undefined) return undefined;
    return said.generation === granted.generation && said.issuedAt === granted.issuedAt && said.endsAt === granted.endsAt
      ? undefined
      : "what was granted is not what it says";
  }

  /** Three canonical parts and two strict objects, or why not. */
  function splitJws(text: string): { header: Record<string, unknown>; payload: Record<string, unknown> } | string {
    const parts = text.split(".");
    if (parts.length !== 3 || text.length > 4096) return "it does not have three parts in 4096 characters";
    const [header, payload, signature] = parts.map(strictBase64Url);
    if (header === undefined || payload === undefined || signature === undefined) return "a part is no canonical base64url";
    const objects = { header: strictObject(header), payload: strictObject(payload) };
    if (objects.header === undefined || objects.payload === undefined) return "header or payload is no object, or names a member twice";
    for (const name of ["crit", "b64", "jwk", "jku", "x5c", "x5u"])
      if (Object.hasOwn(objects.header, name)) return `its header has ${name}`;
    return signature.length === 64 ? { header: objects.header, payload: objects.payload } : "its signature is not 64 bytes";
  }

  async function tunnelJwt(text: string, granted: Granted): Promise<Doubt> {
    const jws = splitJws(text);
    if (typeof jws === "string") return jws;
    const { header, payload } = jws;
    const key = typeof header["kid"] === "string" ? keys.get(header["kid"]) : undefined;
    if (key === undefined) return "its kid is none of ours";
    const { domain } = world;
    try {
      // Its end is judged apart from its signature: a newer one of its kind may have renewed it.
      const options = { algorithms: ["EdDSA"], typ: "keyhole-tunnel+jwt", issuer: domain, audience: domain, currentDate: new Date(0) };
      await jwtVerify(text, await key, options);
    } catch (cause) {
      return `jose refuses it: ${String(cause)}`;
    }
    const { sub, subdomain, iat, exp } = payload;
    if (typeof payload["aud"] !== "string") return "its audience is a list";
    if (typeof sub !== "string" || !isLabel(sub) || subdomain !== sub) return "sub and subdomain are not one label";
    if (sub !== granted.label) return `it is of ${sub}, and ${granted.label} was granted`;
    if (!isWholeSeconds(iat) || !isWholeSeconds(exp)) return "iat or exp is no whole number of seconds";
    if (isOther(iat * 1000, granted.issuedAt)) return "it was issued at another second than was granted";
    return isOther(exp * 1000, granted.endsAt) ? "it ends at another second than was granted" : undefined;
  }

  async function stellarJwt(text: string, granted: Granted): Promise<Doubt> {
    const jws = splitJws(text);
    if (typeof jws === "string") return jws;
    const { header, payload } = jws;
    const { iss, sub, aud, iat, exp } = payload;
    if (header["alg"] !== "EdDSA") return "its alg is not EdDSA";
    if (header["kid"] !== undefined && header["kid"] !== sub) return "kid is not sub";
    if (iss !== "hvym_tunnler") return "it is of another issuer";
    if (aud !== world.stellarAddress) return "it is for another audience";
    const publicKey = stellarKeyOf(sub);
    if (publicKey === undefined) return "sub is no account, or one for which anybody can sign";
    if (!isWholeSeconds(iat) || !isWholeSeconds(exp)) return "iat or exp is no whole number of seconds";
    if (exp - iat > 3600) return "it is good for longer than an hour";
    if (exp + 60 <= nowSeconds) return "it has expired";
    if (iat > nowSeconds + 60) return "it was issued in the future";
    if (isWholeSeconds(payload["nbf"]) && payload["nbf"] > nowSeconds + 60) return "it is not valid yet";
    const [head = "", body = "", tail = ""] = text.split(".");
    const signature = strictBase64Url(tail) ?? Buffer.alloc(0);
    if (!Keypair.fromPublicKey(sub as string).verify(Buffer.from(`${head}.${body}`), signature))
      return "stellar-sdk says that sub did not sign it";
    try {
      const key = await importJWK({ kty: "OKP", crv: "Ed25519", x: publicKey.toString("base64url") }, "EdDSA");
      await jwtVerify(text, key, { algorithms: ["EdDSA"], currentDate, clockTolerance: 60, audience: world.stellarAddress });
    } catch (cause) {
      return `jose refuses it: ${String(cause)}`;
    }
    if (String(sub).toLowerCase() !== granted.label) return `it is of ${sub}, and ${granted.label} was granted`;
    if (isOther(iat * 1000, granted.issuedAt)) return "it was issued at another second than was granted";
    return granted.endsAt !== undefined && granted.endsAt > (exp + 60) * 1000
      ? "it was granted for longer than its exp and 60 s"
      : undefined;
  }

  async function claim(metas: Readonly<Record<string, unknown>>, granted: Granted & { readonly needs?: string }): Promise<Doubt> {
    const { wallet, owner, run_id: runId, auth_claim: text, auth_sig: signature } = metas;
    if (typeof text !== "string" || typeof signature !== "string") return "claim or signature is no text";
    const bytes = strictBase64Url(text);
    const said = bytes === undefined ? undefined : strictObject(bytes);
    if (said === undefined) return "the claim is no object in canonical base64url, or names a member twice";
    const lower = (value: unknown): string => (typeof value === "string" && isAddress(value, { strict: false }) ? value.toLowerCase() : "");
    const { iat, exp } = said;
    if (said["aud"] !== world.audience) return "it is for another audience";
    if (!isWholeSeconds(iat) || !isWholeSeconds(exp)) return "iat or exp is no whole number of seconds";
    if (exp - iat > 600) return "it is good for longer than ten minutes";
    if (exp + 60 <= nowSeconds) return "it has expired";
    if (iat > nowSeconds + 60) return "it was issued in the future";
    if (lower(wallet) === "" || lower(said["wallet"]) !== lower(wallet)) return "wallet is not the one in the metas";
    if (lower(owner) === "" || lower(said["owner"]) !== lower(owner)) return "owner is not the one in the metas";
    if (said["subdomain"] !== lower(wallet)) return "subdomain is not the wallet in lower case";
    if (typeof runId !== "string" || runId === "" || said["runId"] !== runId) return "runId is not the one in the metas";
    const doubt = doubtSignatureForm(signature);
    if (doubt !== undefined) return doubt;
    const signer = (await recover(text, signature)) ?? "";
    if (signer !== lower(wallet) && signer !== lower(owner)) return `viem says that ${signer} signed it`;
    const needs = signer !== lower(wallet) ? "owner-of-wallet" : signer !== lower(owner) ? "registration" : "nothing";
    if (granted.needs !== undefined && granted.needs !== needs) return `it needs ${needs}, not ${granted.needs}`;
    if (granted.needs === undefined && needs === "owner-of-wallet") return "the owner signed for a wallet, and nobody said that it is his";
    if (granted.label !== lower(wallet)) return `it is of ${lower(wallet)}, and ${granted.label} was granted`;
    if (isOther(iat * 1000, granted.issuedAt)) return "it was issued at another second than was granted";
    return granted.endsAt !== undefined && granted.endsAt > (exp + 60) * 1000
      ? "it was granted for longer than its exp and 60 s"
      : undefined;
  }

  async function proof(body: Readonly<Record<string, unknown>>, purpose: "token" | "revoke", label: string): Promise<Doubt> {
    const { walletAddress, timestamp, signature } = body;
    if (typeof walletAddress !== "string" || typeof signature !== "string" || !isWholeSeconds(timestamp))
      return "a field is of another type";
    const message = printOrder({ walletAddress, timestamp }, world.productName, purpose);
    if (walletAddress.toLowerCase() !== label) return `it is of ${walletAddress}, and ${label} was granted`;
    if (walletAddress.startsWith("0x")) {
      if (!/^0x[0-9a-fA-F]{40}$/.test(walletAddress)) return "the address is no EVM address";
      if (walletAddress !== label && !isAddress(walletAddress, { strict: true })) return "the address has a wrong checksum";
      const doubt = doubtSignatureForm(signature);
      if (doubt !== undefined) return doubt;
      const signer = await recover(message, signature);
      return signer === label ? undefined : `viem says that ${signer} signed it`;
    }
    if (stellarKeyOf(walletAddress) === undefined) return "the account is none, or one for which anybody can sign";
    const bytes = readStellarSignature(signature);
    if (bytes === undefined) return "the signature is not 64 bytes in base64 or hexadecimal digits";
    const hash = createHash("sha256").update(`Stellar Signed Message:\n${message}`, "utf8").digest();
    return Keypair.fromPublicKey(walletAddress).verify(hash, bytes) ? undefined : "stellar-sdk says that the account did not sign it";
  }

  return { hmacToken, ticket, tunnelJwt, stellarJwt, claim, proof };
}

const isOther = (said: number, granted: number | undefined): boolean => granted !== undefined && said !== granted;

/** 65 bytes in hexadecimal digits, v that is one, and low s. */
function doubtSignatureForm(signature: string): Doubt {
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) return "the signature is not 65 bytes in hexadecimal digits";
  if (![0, 1, 27, 28].includes(Number.parseInt(signature.slice(130), 16))) return "v is none";
  return BigInt(`0x${signature.slice(66, 130)}`) > halfOrder ? "s is in the upper half" : undefined;
}

async function recover(message: string, signature: string): Promise<string | undefined> {
  try {
    return (await recoverMessageAddress({ message, signature: signature as `0x${string}` })).toLowerCase();
  } catch {
    return undefined;
  }
}

function readStellarSignature(text: string): Buffer | undefined {
  if (/^(?:0x)?[0-9a-fA-F]{128}$/.test(text)) return Buffer.from(text.replace(/^0x/, ""), "hex");
  if (!/^[A-Za-z0-9+/]{86}(?:==)?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "") ? bytes : undefined;
}
