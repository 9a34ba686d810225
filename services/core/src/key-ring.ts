/**
 * Keys that mint and verify: the newest mints, every one verifies. Rotation adds a key; retiring removes one.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

/** One secret of 32 bytes and its id. */
export type MacKey = { readonly id: string; readonly secret: Uint8Array };

/** Keys of one purpose, newest first; never empty. */
export type KeyRing = { readonly keys: readonly [MacKey, ...MacKey[]] };

/** Reads the ring at the moment it is used, so that a rotation needs no restart. */
export type ReadKeyRing = () => KeyRing;

/** HMAC-SHA256 with the key that mints. */
export const signWithRing = (ring: KeyRing, message: string | Uint8Array): Buffer => hmac(ring.keys[0], message);

/** True when any key of the ring made this MAC, or made one that begins with it (`mac` may be truncated by its format). */
export function verifyWithRing(ring: KeyRing, message: string | Uint8Array, mac: Uint8Array): boolean {
  let isKnown = false;
  for (const key of ring.keys) {
    const expected = hmac(key, message).subarray(0, mac.length);
    if (expected.length === mac.length && timingSafeEqual(expected, mac)) isKnown = true;
  }
  return isKnown && mac.length >= 16;
}

/** Building a key object costs five times the HMAC itself. */
const keyObjects = new WeakMap<MacKey, KeyObject>();

function hmac(key: MacKey, message: string | Uint8Array): Buffer {
  let object = keyObjects.get(key);
  if (object === undefined) {
    object = createSecretKey(key.secret);
    keyObjects.set(key, object);
  }
  return createHmac("sha256", object).update(message).digest();
}
