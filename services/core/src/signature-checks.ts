/**
 * Which libraries check signatures: native code where it loads, else the same C code as wasm, chosen once when this file
 * is loaded. Both answer alike; a native recovery costs 1/27 of one in JavaScript, the wasm one 1/10. Every call is
 * synchronous, so that nothing can come between a check and what follows from it.
 */
import { Fault } from "./fault.ts";
import { keccak256 } from "./keccak.ts";

/** Where a library's code runs. */
type BackendKind = "native" | "wasm";

/** Which of the two libraries of each curve is in use. */
export type SignatureBackends = { readonly secp256k1: BackendKind; readonly ed25519: BackendKind };

/** ECDSA over secp256k1. Signatures are r ‖ s, public keys 65 bytes (0x04 first), hashes and private keys 32 bytes. */
export type Secp256k1 = {
  readonly kind: BackendKind;
  /** The key that made the signature; undefined when r or s is 0 or not below the order, or when no point fits. Takes high s. */
  recover(signature: Uint8Array, recoveryId: 0 | 1 | 2 | 3, hash: Uint8Array): Uint8Array | undefined;
  /** Signs with low s and the nonce of RFC 6979. Throws when the key is not a scalar of the curve. */
  sign(hash: Uint8Array, privateKey: Uint8Array): { readonly signature: Uint8Array; readonly recoveryId: number };
  /** Throws when the key is not a scalar of the curve. */
  publicKeyOf(privateKey: Uint8Array): Uint8Array;
};

/** Ed25519 as libsodium judges it. Signatures are 64 bytes, public keys and seeds 32; the caller has seen to it. */
export type Ed25519 = {
  readonly kind: BackendKind;
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  sign(message: Uint8Array, seed: Uint8Array): Uint8Array;
  publicKeyOf(seed: Uint8Array): Uint8Array;
};

/** libsecp256k1 as native code. Rejects where the package has no binary for this machine. */
export async function openNativeSecp256k1(): Promise<Secp256k1> {
  const { default: native } = await import("secp256k1/bindings.js");
  return {
    kind: "native",
    recover(signature, recoveryId, hash) {
      try {
        return native.ecdsaRecover(signature, recoveryId, hash, false);
      } catch {
        return undefined;
      }
    },
    sign(hash, privateKey) {
      const { signature, recid } = native.ecdsaSign(hash, privateKey);
      return { signature, recoveryId: recid };
    },
    publicKeyOf: (privateKey) => native.publicKeyCreate(privateKey, false),
  };
}

/** libsecp256k1 as wasm. Its calls return a sentence where they fail. */
export async function openWasmSecp256k1(): Promise<Secp256k1> {
  const { instantiateSecp256k1 } = await import("@bitauth/libauth");
  const wasm = await instantiateSecp256k1();
  const orThrow = <T>(result: T | string): T => {
    if (typeof result === "string") throw new RangeError(result);
    return result;
  };
  return {
    kind: "wasm",
    recover(signature, recoveryId, hash) {
      const publicKey = wasm.recoverPublicKeyUncompressed(signature, recoveryId, hash);
      return typeof publicKey === "string" ? undefined : publicKey;
    },
    sign: (hash, privateKey) => orThrow(wasm.signMessageHashRecoverableCompact(privateKey, hash)),
    publicKeyOf: (privateKey) => orThrow(wasm.derivePublicKeyUncompressed(privateKey)),
  };
}

/** libsodium as native code. Rejects where the package has no binary for this machine. */
export async function openNativeEd25519(): Promise<Ed25519> {
  const { default: native } = await import("sodium-native");
  const derive = (seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } => {
    const pair = { publicKey: new Uint8Array(32), secretKey: new Uint8Array(64) };
    native.crypto_sign_seed_keypair(pair.publicKey, pair.secretKey, seed);
    return pair;
  };
  return {
    kind: "native",
    verify: (signature, message, publicKey) => native.crypto_sign_verify_detached(signature, message, publicKey),
    sign(message, seed) {
      const signature = new Uint8Array(64);
      native.crypto_sign_detached(signature, message, derive(seed).secretKey);
      return signature;
    },
    publicKeyOf: (seed) => derive(seed).publicKey,
  };
}

/** libsodium as wasm. */
export async function openWasmEd25519(): Promise<Ed25519> {
  const { default: wasm } = await import("libsodium-wrappers");
  await wasm.ready;
  return {
    kind: "wasm",
    verify: (signature, message, publicKey) => wasm.crypto_sign_verify_detached(signature, message, publicKey),
    sign: (message, seed) => wasm.crypto_sign_detached(message, wasm.crypto_sign_seed_keypair(seed).privateKey),
    publicKeyOf: (seed) => wasm.crypto_sign_seed_keypair(seed).publicKey,
  };
}

/** The first library, or the second where the first cannot be loaded. Rejects when neither can. */
export async function openFirst<T>(open: () => Promise<T>, openInstead: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch {
    return await openInstead();
  }
}

/** The library of secp256k1 that is in use. */
export const secp256k1 = await openFirst(openNativeSecp256k1, openWasmSecp256k1);

/** The library of Ed25519 that is in use. */
export const ed25519 = await openFirst(openNativeEd25519, openWasmEd25519);

/** Tells which libraries are in use: native ones, or wasm where the native ones could not be loaded. */
export const signatureBackends = (): SignatureBackends => ({ secp256k1: secp256k1.kind, ed25519: ed25519.kind });

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

/** A published test key signed this hash; the last 20 bytes of the keccak of its public key are its address. */
const ecdsaVector = {
  hash: bytes("a8fbaa57ead5166e642d0c635d7163ef97d8609701a076cbb951067dd8fd3729"),
  signature: bytes(
    "566e907270a18996db2ab6090e20af486ea9779413a7edbae86c98eac3dba85204cc5d5cde590092bcaf221bbd6fa82b92b4b7acaddbc30b0642f512c1e0c0dd",
  ),
  recoveryId: 0,
  address: "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
} as const;

/** RFC 8032 §7.1, test 2. */
const eddsaVector = {
  message: bytes("72"),
  signature: bytes(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ),
  publicKey: bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
};

/** The identity as key and as R, S of 0: a lenient verifier takes it for a signature of everything. */
const forgery = { signature: bytes(`01${"00".repeat(63)}`), publicKey: bytes(`01${"00".repeat(31)}`) };

/**
 * Tests at start, with known vectors, that good signatures pass and bad ones do not. Throws a `SELF_TEST_FAILED` fault
 * that names the check: a process whose checks are wrong must not serve.
 */
export function testSignatureChecks(
  libraries: { readonly secp256k1: Secp256k1; readonly ed25519: Ed25519 } = { secp256k1, ed25519 },
): void {
  const { hash, signature, recoveryId, address } = ecdsaVector;
  const addressOf = (key: Uint8Array | undefined): string | undefined =>
    key && Buffer.from(keccak256(key.subarray(1)).subarray(12)).toString("hex");
  const flip = (good: Uint8Array): Uint8Array => good.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
  const recoverFrom = (rs: Uint8Array, of: Uint8Array): string | undefined => addressOf(libraries.secp256k1.recover(rs, recoveryId, of));
  const verify = (of: { signature: Uint8Array; publicKey: Uint8Array }, message: Uint8Array): boolean =>
    libraries.ed25519.verify(of.signature, message, of.publicKey);
  const checks: readonly (readonly [string, boolean])[] = [
    ["a good secp256k1 signature", recoverFrom(signature, hash) === address],
    ["a secp256k1 signature of another hash", recoverFrom(signature, flip(hash)) !== address],
    [
      "a secp256k1 signature with r of 0",
      recoverFrom(
        signature.map((byte, index) => (index < 32 ? 0 : byte)),
        hash,
      ) === undefined,
    ],
    ["a good Ed25519 signature", verify(eddsaVector, eddsaVector.message)],
    ["an Ed25519 signature of another message", !verify(eddsaVector, flip(eddsaVector.message))],
    ["an Ed25519 signature that fits every message", !verify(forgery, eddsaVector.message)],
  ];
  const failed = checks.filter(([, isRight]) => !isRight).map(([name]) => name);
  if (failed.length === 0) return;
  throw new Fault(
    "SELF_TEST_FAILED",
    `The signature checks (${libraries.secp256k1.kind} secp256k1, ${libraries.ed25519.kind} Ed25519) judge wrongly: ${failed.join(", ")}. Run npm run setup on this machine, so that the packages fit it.`,
  );
}
