/**
 * EIP-191 `personal_sign` (version 0x45): what a wallet signs, and who signed it. The rules on top of the EIP: low s only
 * (EIP-2), v of 27 or 28 (0 and 1 tolerated), exactly 65 bytes.
 */
import secp256k1 from "secp256k1/bindings.js";
import { keccak256 } from "./keccak.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

const halfOrder = Buffer.from("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", "hex");

/** The hash that a wallet signs: keccak256 of the prefix, the length in bytes of the UTF-8 text, and the text. */
export function hashPersonalMessage(message: string): Uint8Array {
  const bytes = Buffer.from(message, "utf8");
  return keccak256(Buffer.from(`\x19Ethereum Signed Message:\n${bytes.length}`, "latin1"), bytes);
}

/** The address of an uncompressed public key (65 bytes, 0x04 first). */
function addressOfPublicKey(publicKey: Uint8Array): Uint8Array {
  return keccak256(publicKey.subarray(1)).slice(12);
}

/** Signs as a wallet does. For the demo and for tests; `privateKey` is 32 bytes. Returns `0x` and 130 hexadecimal digits. */
export function signPersonalMessage(message: string, privateKey: Uint8Array): string {
  const { signature, recid } = secp256k1.ecdsaSign(hashPersonalMessage(message), privateKey);
  return `0x${Buffer.from(signature).toString("hex")}${(27 + recid).toString(16)}`;
}

/**
 * A private key from 32 random bytes: never 0, and far below the curve's order because its top bit is clear. For the demo,
 * scripts and tests; a wallet makes its own.
 */
export function derivePrivateKey(random: Uint8Array): Uint8Array {
  const key = Uint8Array.from(random);
  key[0] = (key[0] ?? 0) & 0x7f;
  key[31] = (key[31] ?? 0) | 1;
  return key;
}

/** The address that a private key controls: 20 bytes. Throws when the key is not a scalar of the curve. */
export function addressOfPrivateKey(privateKey: Uint8Array): Uint8Array {
  return addressOfPublicKey(secp256k1.publicKeyCreate(privateKey, false));
}

/**
 * Recovers who signed. Refuses `SIGNATURE_MALFORMED` (form, length, v, r or s out of range), `SIGNATURE_HIGH_S`, and
 * `SIGNATURE_MISMATCH` when no key fits. Never throws.
 */
export function recoverPersonalSigner(message: string, signature: string): Verdict<Uint8Array> {
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature)) return refuse("SIGNATURE_MALFORMED");
  const bytes = Buffer.from(signature.slice(2), "hex");
  const v = bytes[64] ?? 255;
  const recoveryId = v >= 27 ? v - 27 : v;
  if (recoveryId > 1) return refuse("SIGNATURE_MALFORMED");
  if (Buffer.compare(bytes.subarray(32, 64), halfOrder) > 0) return refuse("SIGNATURE_HIGH_S");
  const hash = hashPersonalMessage(message);
  try {
    return grant(addressOfPublicKey(secp256k1.ecdsaRecover(bytes.subarray(0, 64), recoveryId, hash, false)));
  } catch {
    // The library throws for r or s of 0 or above the order, and when no point has this r.
    return refuse("SIGNATURE_MISMATCH");
  }
}
