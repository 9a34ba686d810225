/**
 * Who there is in a fuzz run: wallets, the keys of the service, and the hour. Everything comes from the seed, and the clock
 * stands still, so an input is judged the same whenever it is tried again.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { addressOfPrivateKey, derivePrivateKey, type KeyRing, printIdentity, signPersonalMessage } from "@keyhole/core";
import { StrKey } from "@stellar/stellar-sdk";

/** A wallet of either kind. `sign` is what its ecosystem does with a text: EIP-191 in hexadecimal digits, SEP-53 in base64. */
export type FuzzWallet = {
  readonly kind: "evm" | "stellar";
  readonly address: string;
  readonly label: string;
  sign(message: string): string;
  /** Ed25519 over these bytes; only a Stellar wallet can. */
  signBytes(bytes: Uint8Array): Uint8Array;
};

/** An Ed25519 key that signs tunnel JWTs. */
type FuzzSigningKey = { readonly id: string; readonly publicKey: Uint8Array; readonly privateKey: KeyObject };

/** Everything that generators, subjects and the oracle agree on. */
export type FuzzWorld = {
  readonly seed: number;
  readonly now: Date;
  readonly nowSeconds: number;
  readonly domain: string;
  readonly productName: string;
  readonly audience: string;
  readonly ttlSeconds: number;
  readonly evm: readonly FuzzWallet[];
  readonly stellar: readonly FuzzWallet[];
  readonly wallets: readonly FuzzWallet[];
  /** The G… address of the service: the audience of Stellar JWTs. */
  readonly stellarAddress: string;
  /** Keys of HMAC tokens and tickets. The last one is nobody's: what it made must be refused. */
  readonly ring: KeyRing;
  readonly foreignMacKey: Uint8Array;
  readonly signingKeys: readonly FuzzSigningKey[];
  readonly foreignSigningKey: FuzzSigningKey;
};

/** The secret of the one key that `test/support/hook-bench.ts` mints and verifies with. */
const benchSecret = new Uint8Array(32).fill(9);

const walletsOfAKind = 24;
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** Makes the world of this seed. */
export function createFuzzWorld(seed: number): FuzzWorld {
  const secret = (name: string): Buffer => createHash("sha256").update(`${seed} ${name}`).digest();
  const now = new Date("2026-11-22T12:00:00Z");
  const evm = Array.from({ length: walletsOfAKind }, (_, index) => makeEvmWallet(secret(`evm ${index}`)));
  const stellar = Array.from({ length: walletsOfAKind }, (_, index) => makeStellarWallet(secret(`stellar ${index}`)));
  return {
    seed,
    now,
    nowSeconds: now.getTime() / 1000,
    domain: "tunnel.localhost",
    productName: "Vana Personal Server",
    audience: "https://tunnel.vana.org",
    ttlSeconds: 3600,
    evm,
    stellar,
    wallets: [...evm, ...stellar],
    stellarAddress: makeStellarWallet(secret("server")).address,
    ring: { keys: [{ id: "1", secret: benchSecret }] },
    foreignMacKey: secret("foreign mac"),
    signingKeys: [
      makeSigningKey("1795300000000-0000000a", secret("signing 1")),
      makeSigningKey("1795300005000-0000000b", secret("signing 2")),
    ],
    foreignSigningKey: makeSigningKey("1795300000000-0000000a", secret("foreign signing")),
  };
}

function makeEvmWallet(random: Buffer): FuzzWallet {
  const key = derivePrivateKey(random);
  const address = printIdentity({ namespace: "eip155", address: addressOfPrivateKey(key) });
  return {
    kind: "evm",
    address,
    label: address.toLowerCase(),
    sign: (message) => signPersonalMessage(message, key),
    signBytes: () => {
      throw new TypeError("an EVM wallet has no Ed25519 key");
    },
  };
}

function makeStellarWallet(seed: Buffer): FuzzWallet {
  const { publicKey, privateKey } = makeSigningKey("", seed);
  const address = StrKey.encodeEd25519PublicKey(Buffer.from(publicKey));
  const hashOf = (message: string): Buffer => createHash("sha256").update(`Stellar Signed Message:\n${message}`).digest();
  return {
    kind: "stellar",
    address,
    label: address.toLowerCase(),
    sign: (message) => sign(null, hashOf(message), privateKey).toString("base64"),
    signBytes: (bytes) => sign(null, bytes, privateKey),
  };
}

function makeSigningKey(id: string, seed: Buffer): FuzzSigningKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
  const jwk = createPublicKey(privateKey).export({ format: "jwk" });
  return { id, publicKey: Buffer.from(jwk.x ?? "", "base64url"), privateKey };
}
