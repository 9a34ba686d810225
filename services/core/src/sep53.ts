/**
 * SEP-53: how a Stellar wallet signs a text. The account's key signs the SHA-256 of a prefix and the text; the signature
 * travels in base64 or in hexadecimal digits.
 */
import { hash } from "node:crypto";
import { signEd25519, verifyEd25519 } from "./ed25519.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

const signatureLength = 64;

/** What a wallet signs: SHA-256 of the prefix and the UTF-8 text. 32 bytes. */
export const hashStellarMessage = (message: string): Uint8Array => hash("sha256", `Stellar Signed Message:\n${message}`, "buffer");

/** Signs as a wallet does; `seed` is 32 bytes. Returns base64. */
export const signStellarMessage = (message: string, seed: Uint8Array): string =>
  Buffer.from(signEd25519(hashStellarMessage(message), seed)).toString("base64");

/**
 * Verifies that the account's key signed the text. Refuses `SIGNATURE_FORMAT` (neither base64 nor hexadecimal digits),
 * `SIGNATURE_LENGTH`, and `SIGNATURE_INVALID`. Never throws.
 */
export function verifyStellarMessage(message: string, signatureText: string, publicKey: Uint8Array): Verdict<true> {
  const signature = decode(signatureText);
  if (signature === undefined) return refuse("SIGNATURE_FORMAT");
  if (signature.length !== signatureLength) return refuse("SIGNATURE_LENGTH", { bytes: signature.length, expectedBytes: signatureLength });
  return verifyEd25519(signature, hashStellarMessage(message), publicKey) ? grant(true) : refuse("SIGNATURE_INVALID");
}

/** 64 bytes are 128 hexadecimal digits or 88 characters of base64, so that no text of a signature has two meanings. */
function decode(text: string): Uint8Array | undefined {
  const digits = /^(?:0x)?((?:[0-9a-fA-F]{2})+)$/.exec(text)?.[1];
  if (digits !== undefined) return Buffer.from(digits, "hex");
  const decoded = Buffer.from(text, "base64");
  return text !== "" && decoded.toString("base64") === text ? decoded : undefined;
}
