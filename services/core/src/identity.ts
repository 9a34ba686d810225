/**
 * A key holder that we recognise: an EVM account (`0x…`, EIP-55) or a Stellar account (`G…`, SEP-23). The text is parsed
 * once, here; past this file an identity is bytes. Printing what was parsed gives back the same account (invariant 3).
 */
import { keccak256 } from "./keccak.ts";
import { decodeStellarAccount, encodeStellarAccount } from "./stellar-account.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** An EVM account: the last 20 bytes of the keccak of its public key. */
export type EvmIdentity = { readonly namespace: "eip155"; readonly address: Uint8Array };

/** A Stellar account: its Ed25519 public key, 32 bytes, never of small order. */
export type StellarIdentity = { readonly namespace: "stellar"; readonly publicKey: Uint8Array };

/** Who holds a key. */
export type Identity = EvmIdentity | StellarIdentity;

const evmAddress = /^0x[0-9a-fA-F]{40}$/;

/**
 * Reads an address as people and wallets write it. EVM: all lower case, or with a correct EIP-55 checksum. Stellar: a `G…` account with a valid checksum;
 * muxed `M…`, contract `C…` and small-order keys are refused. Never throws.
 *
 * @example
 * parseIdentity("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").granted // true
 * parseIdentity("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD").granted // false: WALLET_CHECKSUM
 */
export function parseIdentity(text: unknown): Verdict<Identity> {
  if (typeof text !== "string" || text === "") return refuse("WALLET_MISSING");
  if (evmAddress.test(text)) return parseEvm(text);
  if (/^[GMC][A-Z2-7]{55,68}$/.test(text)) {
    const publicKey = decodeStellarAccount(text);
    if (publicKey !== undefined) return grant({ namespace: "stellar", publicKey });
    return refuse(text.length === 56 && text[0] === "G" ? "WALLET_CHECKSUM" : "WALLET_UNSUPPORTED");
  }
  return refuse("WALLET_MALFORMED");
}

function parseEvm(text: string): Verdict<Identity> {
  const digits = text.slice(2);
  const identity: EvmIdentity = { namespace: "eip155", address: Uint8Array.from(Buffer.from(digits, "hex")) };
  if (digits === digits.toLowerCase()) return grant(identity);
  return text === printIdentity(identity) ? grant(identity) : refuse("WALLET_CHECKSUM");
}

/** Prints an identity as its ecosystem writes it: EIP-55 mixed case, or the `G…` account. */
export function printIdentity(identity: Identity): string {
  if (identity.namespace === "stellar") return encodeStellarAccount(identity.publicKey);
  const digits = Buffer.from(identity.address).toString("hex");
  const hash = keccak256(Buffer.from(digits, "ascii"));
  let text = "0x";
  for (let index = 0; index < 40; index += 1) {
    const nibble = ((hash[index >> 1] ?? 0) >> (index % 2 === 0 ? 4 : 0)) & 0xf;
    text += nibble >= 8 ? (digits[index] ?? "").toUpperCase() : digits[index];
  }
  return text;
}
