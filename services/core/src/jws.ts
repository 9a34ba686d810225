/**
 * JSON Web Signatures in compact form (RFC 7515 §7.1), read strictly: three parts in canonical base64url, so that one
 * token has one spelling; objects in which no member stands twice; no header that changes the rules (`crit`, `b64`) or
 * brings its own key (`jwk`, `jku`, `x5c`, `x5u`; RFC 8725 §3.10). Who signed it is the caller's to check, last.
 */
import { parseStrictJson } from "./strict-json.ts";

/** The three parts, decoded. The header is an object; the payload may be any bytes. */
export type CompactJws = {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Uint8Array;
  /** What the signature is over: the first two parts as they were sent. */
  readonly signedText: string;
  readonly signature: Uint8Array;
};

/** A JWS whose payload is an object too, as a JWT's is. */
export type Jws = {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly signedText: string;
  readonly signature: Uint8Array;
};

const longest = 4096;
const form = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const refusedHeaders = ["crit", "b64", "jwk", "jku", "x5c", "x5u"] as const;

/** Reads base64url that re-encodes to itself: no padding, no white space, no other alphabet, no spare bits. Never throws. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** Reads an object in canonical base64url. Undefined for a list, a duplicate member, bytes that are no UTF-8. Never throws. */
export function decodeObject(text: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = decodeBase64Url(text);
  return bytes === undefined ? undefined : parseObject(bytes);
}

/** Reads a compact JWS of at most 4096 characters. It says nothing about who signed it. Never throws. */
export function parseCompactJws(text: string): CompactJws | undefined {
  if (text.length > longest) return undefined;
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const [, head = "", body = "", tail = ""] = parts;
  const header = decodeObject(head);
  const payload = decodeBase64Url(body);
  const signature = decodeBase64Url(tail);
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  if (refusedHeaders.some((name) => Object.hasOwn(header, name))) return undefined;
  return { header, payload, signedText: text.slice(0, head.length + 1 + body.length), signature };
}

/** Reads a compact JWS whose payload is an object. It says nothing about who signed it. Never throws. */
export function parseJws(text: string): Jws | undefined {
  const compact = parseCompactJws(text);
  const payload = compact === undefined ? undefined : parseObject(compact.payload);
  return compact === undefined || payload === undefined ? undefined : { ...compact, payload };
}

/** True for whole seconds since 1970 as they stand in a claim: a safe integer, not negative, not a text. */
export function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** True for a text of 1 to `longest` printable ASCII characters. */
export function isBoundedText(value: unknown, longest: number): value is string {
  return typeof value === "string" && value.length <= longest && /^[ -~]+$/.test(value);
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  const read = parseStrictJson(bytes);
  if (read.kind !== "value" || typeof read.value !== "object" || read.value === null || Array.isArray(read.value)) return undefined;
  return read.value as Readonly<Record<string, unknown>>;
}
