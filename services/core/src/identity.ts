/**
 * A key holder that we recognise: an EVM account (`0x…`, EIP-55) or a Stellar account (`G…`, SEP-23). The text is parsed
 * once, here; past this file an identity is bytes. Printing what was parsed gives back the same account (invariant 3).
 */
import { keccak256 } from "./keccak.ts";
import { encodeStellarAccount, parseStellarAccount } from "./stellar-account.ts";
import { grant, refuse, type Verdict } from "./verdict.ts";

/** An EVM account: the last 20 bytes of the keccak of its public key. */
export type EvmIdentity = { readonly namespace: "eip155"; readonly address: Uint8Array };

/** A Stellar account: its Ed25519 public key, 32 bytes, never of small order. */
export type StellarIdentity = { readonly namespace: "stellar"; readonly publicKey: Uint8Array };

/** Who holds a key. */
export type Identity = EvmIdentity | StellarIdentity;

const evmAddress = /^0x[0-9a-fA-F]{40}$/;
/** The zero address and the precompiled contracts, 0x01 to 0x11: nobody holds their keys. */
const reservedAddress = /^0x0{38}(?:0[0-9a-fA-F]|1[01])$/;

/**
 * Reads an address as people and wallets write it. EVM: all lower case, or with a correct EIP-55 checksum. Stellar: a `G…`
 * account with a valid checksum. Refuses `WALLET_REQUIRED`, `WALLET_FORMAT`, `WALLET_CHECKSUM`, `WALLET_KIND_UNSUPPORTED`
 * (muxed `M…`, contract `C…` and their like), `WALLET_WEAK_KEY` and `WALLET_RESERVED`. Never throws.
 *
 * @example
 * parseIdentity("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").granted // true
 * parseIdentity("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD").granted // false: WALLET_CHECKSUM
 */
export function parseIdentity(text: unknown): Verdict<Identity> {
  if (typeof text !== "string" || text === "") return refuse("WALLET_REQUIRED");
  if (evmAddress.test(text)) return parseEvm(text);
  if (/^0x[0-9a-fA-F]*$/.test(text)) return refuse("WALLET_FORMAT", { digits: text.length - 2, expectedDigits: 40 });
  const account = parseStellarAccount(text);
  return account.granted ? grant({ namespace: "stellar", publicKey: account.value }) : account;
}

function parseEvm(text: string): Verdict<Identity> {
  if (reservedAddress.test(text)) return refuse("WALLET_RESERVED");
  const digits = text.slice(2);
  const lower = digits.toLowerCase();
  const identity: EvmIdentity = { namespace: "eip155", address: new Uint8Array(Buffer.from(digits, "hex")) };
  if (digits === lower || hasChecksum(digits, lower)) return grant(identity);
  return refuse("WALLET_CHECKSUM", { expected: printIdentity(identity) });
}

/** Whether each letter has the case that EIP-55 says; nothing is printed for it, because every proof comes this way. */
function hasChecksum(digits: string, lower: string): boolean {
  const hash = hashDigits(lower);
  for (let index = 0; index < 40; index += 1) {
    const code = digits.charCodeAt(index);
    const isLetter = code > 0x39;
    const isUpper = code < 0x61;
    if (isLetter && isUpper !== isUpperIn(hash, index)) return false;
  }
  return true;
}

/** EIP-55: a letter is upper case where the hash of the digits in lower case has a nibble of 8 or more. */
const hashDigits = (lower: string): Uint8Array => keccak256(Buffer.from(lower, "latin1"));
const isUpperIn = (hash: Uint8Array, index: number): boolean => (((hash[index >> 1] ?? 0) >> (index % 2 === 0 ? 4 : 0)) & 0xf) >= 8;

/** Prints an identity as its ecosystem writes it: EIP-55 mixed case, or the `G…` account. */
export function printIdentity(identity: Identity): string {
  if (identity.namespace === "stellar") return encodeStellarAccount(identity.publicKey);
  const digits = Buffer.from(identity.address).toString("hex");
  const hash = hashDigits(digits);
  let text = "0x";
  for (let index = 0; index < 40; index += 1) text += isUpperIn(hash, index) ? (digits[index] ?? "").toUpperCase() : digits[index];
  return text;
}
