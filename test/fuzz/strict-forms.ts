/**
 * Forms, read a second time and in another way than the code that is judged: base64url by a table, duplicate members by a
 * reader of its own, addresses by viem and stellar-sdk.
 */
import { StrKey } from "@stellar/stellar-sdk";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Canonical base64url: its bytes, or undefined for padding, another alphabet, or bits that nobody reads. */
export function strictBase64Url(text: string): Buffer | undefined {
  const bytes: number[] = [];
  let pending = 0;
  let bits = 0;
  for (const character of text) {
    const value = alphabet.indexOf(character);
    if (value < 0) return undefined;
    pending = (pending << 6) | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((pending >> bits) & 0xff);
    pending &= (1 << bits) - 1;
  }
  return bits >= 6 || pending !== 0 ? undefined : Buffer.from(bytes);
}

/** An object of this JSON in which no member stands twice, at any depth. */
export function strictObject(source: Uint8Array | string): Record<string, unknown> | undefined {
  let text: string;
  let value: unknown;
  try {
    text = typeof source === "string" ? source : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(source);
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return hasDuplicate(text) ? undefined : (value as Record<string, unknown>);
}

/** Walks valid JSON a character at a time. No recursion: what is judged may be as deep as it likes. */
export function hasDuplicate(text: string): boolean {
  type Frame = { readonly names: Set<string> | undefined; expectsName: boolean };
  const frames: Frame[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    const frame = frames.at(-1);
    if (character === "{") frames.push({ names: new Set(), expectsName: true });
    else if (character === "[") frames.push({ names: undefined, expectsName: false });
    else if (character === "}" || character === "]") frames.pop();
    else if (character === "," && frame?.names !== undefined) frame.expectsName = true;
    else if (character === '"') {
      let end = index + 1;
      while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
      if (frame?.names !== undefined && frame.expectsName) {
        const name = JSON.parse(text.slice(index, end + 1)) as string;
        if (frame.names.has(name)) return true;
        frame.names.add(name);
        frame.expectsName = false;
      }
      index = end;
    }
  }
  return false;
}

/** Keys of small order, and encodings of them that are not canonical, without the sign: for these anybody can sign. */
const weakKeys = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** The key of a G… account, or undefined when it is none or a weak one. */
export function stellarKeyOf(address: unknown): Buffer | undefined {
  if (typeof address !== "string" || !StrKey.isValidEd25519PublicKey(address)) return undefined;
  const key = Buffer.from(StrKey.decodeEd25519PublicKey(address));
  return isWeakPoint(key) ? undefined : key;
}

/** True for a point of small order, in any encoding. */
export function isWeakPoint(point: Uint8Array): boolean {
  const unsigned = Buffer.from(point);
  unsigned[31] = (unsigned[31] ?? 0) & 0x7f;
  return weakKeys.has(unsigned.toString("hex"));
}

/** True for what stands before the domain: one wallet, in lower case. */
export function isLabel(text: string): boolean {
  if (/^0x[0-9a-f]{40}$/.test(text)) return true;
  return /^g[a-z2-7]{55}$/.test(text) && stellarKeyOf(text.toUpperCase()) !== undefined;
}

/** True for whole, not negative seconds. */
export const isWholeSeconds = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
