/**
 * Keccak-256 as Ethereum uses it (the padding before FIPS 202). One wasm instance, used in synchronous
 * init-update-digest sequences only, so it can be shared: measured 13–18 times as fast as pure JavaScript.
 */
import { createKeccak } from "hash-wasm";

const instance = await createKeccak(256);

/** Hashes the concatenation of the parts. Returns 32 bytes. */
export function keccak256(...parts: readonly Uint8Array[]): Uint8Array {
  instance.init();
  for (const part of parts) instance.update(part);
  return instance.digest("binary");
}
