/**
 * Keys that mint and verify: the first of a ring mints, every one verifies. Rotation adds a key, which verifies at once and
 * mints when every reader of the ring has had the time to see it; retiring takes a key away.
 *
 * HMAC-SHA256 (RFC 2104) as two one-shot hashes over buffers that are used again: `createHmac` makes a native object for
 * every call, which costs a login three times as much, most of it in the garbage collector.
 */
import { hash, timingSafeEqual } from "node:crypto";

/** One secret of 32 bytes and its id. */
export type MacKey = { readonly id: string; readonly secret: Uint8Array };

/**
 * Keys of one purpose; never empty. The first mints: the newest that has been on disk for 5 s, so that nobody meets a token of
 * a key that he has not read yet. The others only verify: older ones, and one that is newer still.
 */
export type KeyRing = { readonly keys: readonly [MacKey, ...MacKey[]] };

/** Reads the ring at the moment it is used, so that a rotation needs no restart. */
export type ReadKeyRing = () => KeyRing;

/** How a MAC is written: as hexadecimal digits, or a character a byte (latin1, which `hash` calls binary). */
type MacEncoding = "hex" | "binary";

/** Characters of the shortest MAC that counts: 16 bytes. */
const shortest: Readonly<Record<MacEncoding, number>> = { hex: 32, binary: 16 };

/** HMAC-SHA256 with this key. A character of the message is a byte. */
export const signWithKey = (key: MacKey, message: string, encoding: MacEncoding): string => hmac(key, message, encoding);

/** HMAC-SHA256 with the key that mints. A character of the message is a byte. */
export const signWithRing = (ring: KeyRing, message: string, encoding: MacEncoding): string => signWithKey(ring.keys[0], message, encoding);

/** True when any key of the ring made this MAC, or made one that begins with it (`mac` may be truncated by its format). */
export function verifyWithRing(ring: KeyRing, message: string, mac: string, encoding: MacEncoding): boolean {
  if (mac.length < shortest[encoding]) return false;
  const given = Buffer.from(mac, "latin1");
  let isKnown = false;
  for (const key of ring.keys) {
    const expected = Buffer.from(hmac(key, message, encoding).slice(0, mac.length), "latin1");
    if (expected.length === given.length && timingSafeEqual(expected, given)) isKnown = true;
  }
  return isKnown;
}

const blockLength = 64;
const hashLength = 32;
/** The longest message that needs no buffer of its own; tokens and tickets are below 100 bytes. */
const usualLength = 192;

/** The two blocks of a key, each with room for what is hashed behind it. */
type Pads = { readonly inner: Buffer; readonly outer: Buffer };
const padsOf = new WeakMap<MacKey, Pads>();

function hmac(key: MacKey, message: string, encoding: MacEncoding): string {
  let pads = padsOf.get(key);
  if (pads === undefined) {
    pads = derivePads(key);
    padsOf.set(key, pads);
  }
  const end = blockLength + message.length;
  const inner = end <= pads.inner.length ? pads.inner : Buffer.concat([pads.inner.subarray(0, blockLength)], end);
  inner.write(message, blockLength, "latin1");
  pads.outer.write(hash("sha256", inner.subarray(0, end), "binary"), blockLength, "latin1");
  return hash("sha256", pads.outer, encoding);
}

function derivePads({ secret }: MacKey): Pads {
  const block = Buffer.alloc(blockLength);
  block.set(secret.length > blockLength ? hash("sha256", secret, "buffer") : secret);
  const pad = (byte: number, room: number): Buffer => Buffer.concat([block.map((value) => value ^ byte)], blockLength + room);
  return { inner: pad(0x36, usualLength), outer: pad(0x5c, hashLength) };
}
