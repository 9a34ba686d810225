/**
 * EIP-191 `personal_sign` (version 0x45): what a wallet signs, and who signed it. The rules on top of the EIP: low s only
 * (EIP-2), v of 27 or 28 (0 and 1 tolerated), exactly 65 bytes.
 */
import { keccak256 } from "./keccak.ts";
import { secp256k1 } from "./signature-checks.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

const signatureLength = 65;
const order = Buffer.from("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", "hex");
const halfOrder = Buffer.from("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", "hex");
const zero = Buffer.alloc(32);

/** ERC-6492 puts it behind the signature of a wallet that is a contract, and not even deployed yet. */
const contractMagic = "6492".repeat(16);

/** The hash that a wallet signs: keccak256 of the prefix, the length in bytes of the UTF-8 text, and the text. */
export function hashPersonalMessage(message: string): Uint8Array {
  return keccak256(Buffer.from(`\x19Ethereum Signed Message:\n${Buffer.byteLength(message)}${message}`, "utf8"));
}

/** The address of an uncompressed public key (65 bytes, 0x04 first). */
function addressOfPublicKey(publicKey: Uint8Array): Uint8Array {
  return keccak256(publicKey.subarray(1)).slice(12);
}

/** Signs as a wallet does. For the demo and for tests; `privateKey` is 32 bytes. Returns `0x` and 130 hexadecimal digits. */
export function signPersonalMessage(message: string, privateKey: Uint8Array): string {
  const { signature, recoveryId } = secp256k1.sign(hashPersonalMessage(message), privateKey);
  return `0x${Buffer.from(signature).toString("hex")}${(27 + recoveryId).toString(16)}`;
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
  return addressOfPublicKey(secp256k1.publicKeyOf(privateKey));
}

/** Recovers the address that signed a text. Refuses as `recoverSigner` does; never throws. */
export function recoverPersonalSigner(message: string, signature: string): Verdict<Uint8Array> {
  const parsed = parseSignature(signature);
  return parsed.granted ? recoverSigner(hashPersonalMessage(message), parsed.value) : parsed;
}

/** r ‖ s, low s, in range; and which of the two points with this r. */
type ParsedSignature = { readonly rs: Uint8Array; readonly recoveryId: 0 | 1 };

/**
 * Reads a signature as wallets write it: `0x`, r, s, v. Refuses `SIGNATURE_FORMAT` (no hexadecimal digits, a v that is
 * none), `SIGNATURE_KIND_UNSUPPORTED`, `SIGNATURE_LENGTH`, `SIGNATURE_INVALID` (r or s of 0, or not below the order) and
 * `SIGNATURE_NON_CANONICAL`. Never throws.
 */
export function parseSignature(text: string): Verdict<ParsedSignature> {
  if (text.length % 2 !== 0 || !/^0x[0-9a-fA-F]*$/.test(text)) return refuse("SIGNATURE_FORMAT");
  if (text.endsWith(contractMagic)) return refuse("SIGNATURE_KIND_UNSUPPORTED");
  const bytes = Buffer.from(text.slice(2), "hex");
  if (bytes.length !== signatureLength) return refuse("SIGNATURE_LENGTH", { bytes: bytes.length, expectedBytes: signatureLength });
  const rs = bytes.subarray(0, 64);
  const [r, s] = [rs.subarray(0, 32), rs.subarray(32)];
  if (!isScalar(r) || !isScalar(s)) return refuse("SIGNATURE_INVALID");
  const v = bytes[64] ?? 255;
  const recoveryId = v >= 27 ? v - 27 : v;
  if (recoveryId !== 0 && recoveryId !== 1) return refuse("SIGNATURE_FORMAT");
  if (Buffer.compare(s, halfOrder) > 0) return refuse("SIGNATURE_NON_CANONICAL");
  return grant({ rs, recoveryId });
}

const isScalar = (bytes: Buffer): boolean => !bytes.equals(zero) && Buffer.compare(bytes, order) < 0;

/** Recovers the address that signed a hash. Refuses `SIGNATURE_INVALID` when no point has this r; never throws. */
export function recoverSigner(hash: Uint8Array, { rs, recoveryId }: ParsedSignature, library = secp256k1): Verdict<Uint8Array> {
  const publicKey = library.recover(rs, recoveryId, hash);
  return publicKey === undefined ? refuse("SIGNATURE_INVALID") : grant(addressOfPublicKey(publicKey));
}
