/**
 * One DNS label below our domain: the address in lower case, because DNS is. `0x` and 40 hexadecimal digits (42
 * characters) for EVM, 56 characters for a Stellar account. `0` is no letter of base32, so the two cannot collide
 * (invariant 3), and both fit the 63 bytes of RFC 1035.
 */
import type { Identity } from "./identity.ts";
import { decodeStellarAccount, encodeStellarAccount } from "./stellar-account.ts";

declare const brand: unique symbol;

/** A label that `parseLabel` or `deriveLabel` made. */
export type Label = string & { readonly [brand]: "Label" };

const evmLabel = /^0x[0-9a-f]{40}$/;
const stellarLabel = /^g[a-z2-7]{55}$/;

/** The label of an identity: its address in lower case. */
export function deriveLabel(identity: Identity): Label {
  const text =
    identity.namespace === "eip155"
      ? `0x${Buffer.from(identity.address).toString("hex")}`
      : encodeStellarAccount(identity.publicKey).toLowerCase();
  return text as Label;
}

/** Reads a label, in lower case only. Undefined for anything that no identity has. Never throws. */
export function parseLabel(text: unknown): Label | undefined {
  if (typeof text !== "string") return undefined;
  if (evmLabel.test(text)) return text as Label;
  if (stellarLabel.test(text) && decodeStellarAccount(text.toUpperCase()) !== undefined) return text as Label;
  return undefined;
}

/** The identity that a label belongs to: the inverse of `deriveLabel`. */
export function identityOfLabel(label: Label): Identity {
  if (label.startsWith("0x")) return { namespace: "eip155", address: Uint8Array.from(Buffer.from(label.slice(2), "hex")) };
  const publicKey = decodeStellarAccount(label.toUpperCase());
  if (publicKey === undefined) throw new TypeError("a label that parseLabel did not make");
  return { namespace: "stellar", publicKey };
}
