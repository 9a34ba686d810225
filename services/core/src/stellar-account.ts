/**
 * Stellar account ids (`G…`): StrKey of SEP-23, version byte 6 << 3, CRC-16/XMODEM, base32 without padding. Small-order
 * and non-canonical Ed25519 points are refused: anybody can sign for them.
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const accountVersion = 6 << 3;

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

/** Reads a `G…` account. Undefined when length, alphabet, version, checksum or the key itself is not right. */
export function decodeStellarAccount(text: string): Uint8Array | undefined {
  if (text.length !== 56) return undefined;
  const bytes = new Uint8Array(35);
  let bits = 0;
  let pending = 0;
  let length = 0;
  for (const character of text) {
    const value = alphabet.indexOf(character);
    if (value < 0) return undefined;
    pending = ((pending << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[length] = (pending >> bits) & 0xff;
      length += 1;
    }
  }
  if (bytes[0] !== accountVersion) return undefined;
  const checksum = crc16(bytes.subarray(0, 33));
  if (bytes[33] !== (checksum & 0xff) || bytes[34] !== checksum >> 8) return undefined;
  const publicKey = bytes.slice(1, 33);
  return isUsablePoint(publicKey) ? publicKey : undefined;
}

/** Prints a 32-byte public key as a `G…` account. */
export function encodeStellarAccount(publicKey: Uint8Array): string {
  const bytes = new Uint8Array(35);
  bytes[0] = accountVersion;
  bytes.set(publicKey, 1);
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
