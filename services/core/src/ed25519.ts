/**
 * Ed25519 (RFC 8032) as libsodium judges it, which is stricter than the RFC: keys and R of small order, encodings that
 * are not canonical and S not below the order are refused. Of the twelve cases of ed25519-speccheck it accepts one.
 */
import { ed25519 } from "./signature-checks.ts";

/** Verifies a signature. False for anything that is not one, wrong lengths too; never throws. */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  return signature.length === 64 && publicKey.length === 32 && ed25519.verify(signature, message, publicKey);
}

/** Signs as a wallet does. `seed` is the 32 bytes that a Stellar secret (`S…`) holds. Returns 64 bytes. */
export const signEd25519 = (message: Uint8Array, seed: Uint8Array): Uint8Array => ed25519.sign(message, seed);

/** The public key of a seed: 32 bytes. */
export const publicKeyOfSeed = (seed: Uint8Array): Uint8Array => ed25519.publicKeyOf(seed);
