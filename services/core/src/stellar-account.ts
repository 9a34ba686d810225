/**
 * Stellar accounts (`G…`) and their secrets (`S…`): StrKey of SEP-23, a version byte, 32 bytes, CRC-16/XMODEM, in base32
 * without padding. An account whose key is a small-order or non-canonical Ed25519 point is refused: anybody can sign for it.
 */
import { grant, refuse, type Verdict } from "./verdict.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const accountVersion = 6 << 3;
const secretVersion = 18 << 3;
const textLength = 56;

/** Muxed `M`, contract `C`, pre-authorized transaction `T`, hash `X`, signed payload `P`, liquidity pool `L`, claimable balance `B`. */
const otherKinds = /^[MCTXPLB][A-Z2-7]{54,164}$/;

/**
 * y coordinates (little-endian, sign bit cleared) of the points of small order, and their non-canonical encodings
 * (libsodium, ed25519_ref10.c, `ge25519_has_small_order`).
 */
const smallOrderY: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/**
 * Reads a `G…` account and gives its public key. Refuses `WALLET_KIND_UNSUPPORTED` (what SEP-23 writes the same way and
 * cannot sign), `WALLET_FORMAT`, `WALLET_CHECKSUM` and `WALLET_WEAK_KEY`. Never throws.
 */
export function parseStellarAccount(text: string): Verdict<Uint8Array> {
  if (otherKinds.test(text)) return refuse("WALLET_KIND_UNSUPPORTED");
  if (!/^G[A-Z2-7]*$/.test(text)) return refuse("WALLET_FORMAT");
  if (text.length !== textLength) return refuse("WALLET_FORMAT", { characters: text.length, expectedCharacters: textLength });
  const bytes = decodeBase32(text);
  if (!hasChecksum(bytes)) return refuse("WALLET_CHECKSUM");
  if (bytes[0] !== accountVersion) return refuse("WALLET_FORMAT");
  const publicKey = bytes.slice(1, 33);
  return isUsablePoint(publicKey) ? grant(publicKey) : refuse("WALLET_WEAK_KEY");
}

/** Reads a `G…` account. Undefined when length, alphabet, version, checksum or the key itself is not right. */
export function decodeStellarAccount(text: string): Uint8Array | undefined {
  const account = parseStellarAccount(text);
  return account.granted ? account.value : undefined;
}

/** Prints a 32-byte public key as a `G…` account. */
export const encodeStellarAccount = (publicKey: Uint8Array): string => encodeStrKey(accountVersion, publicKey);

/** Reads a secret (`S…`): the 32-byte seed of a key. Undefined when length, alphabet, version or checksum is not right. Never throws. */
export function decodeStellarSecret(text: string): Uint8Array | undefined {
  if (text.length !== textLength || !/^S[A-Z2-7]*$/.test(text)) return undefined;
  const bytes = decodeBase32(text);
  return bytes[0] === secretVersion && hasChecksum(bytes) ? bytes.slice(1, 33) : undefined;
}

/** Prints a 32-byte seed as a secret (`S…`). Whoever reads it holds the account. */
export const encodeStellarSecret = (seed: Uint8Array): string => encodeStrKey(secretVersion, seed);

/** 56 characters are 35 bytes to the bit: version, 32 bytes, checksum. */
function decodeBase32(text: string): Uint8Array {
  const bytes = new Uint8Array(35);
  let bits = 0;
  let pending = 0;
  let length = 0;
  for (const character of text) {
    pending = ((pending << 5) | alphabet.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[length] = (pending >> bits) & 0xff;
      length += 1;
    }
  }
  return bytes;
}

function encodeStrKey(version: number, content: Uint8Array): string {
  const bytes = new Uint8Array(35);
  bytes[0] = version;
  bytes.set(content, 1);
  const checksum = crc16(bytes.subarray(0, 33));
  bytes[33] = checksum & 0xff;
  bytes[34] = checksum >> 8;
  let text = "";
  let bits = 0;
  let pending = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(pending >> bits) & 31];
    }
  }
  return text;
}

function hasChecksum(bytes: Uint8Array): boolean {
  const checksum = crc16(bytes.subarray(0, 33));
  return bytes[33] === (checksum & 0xff) && bytes[34] === checksum >> 8;
}

/** False for small-order points and for y that is not below 2^255 - 19 (RFC 8032 §5.1.3). */
function isUsablePoint(publicKey: Uint8Array): boolean {
  const y = Uint8Array.from(publicKey);
  y[31] = (y[31] ?? 0) & 0x7f;
  if (smallOrderY.has(Buffer.from(y).toString("hex"))) return false;
  const isAllOnes = y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  return !(isAllOnes && (y[0] ?? 0) >= 0xed);
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) !== 0 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
