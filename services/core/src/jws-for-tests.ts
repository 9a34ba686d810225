/** Makes the signed texts that tests of credentials hand in: JWS as a wallet's library would make them, good or not. */
import { signEd25519 } from "./ed25519.ts";

/** The JSON of a value in base64url. A text is taken as it is, so that a test may write its own JSON. */
export const encodePart = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value), "utf8").toString("base64url");

/** A compact JWS over these two parts, signed with Ed25519. */
export function signJws(header: unknown, payload: unknown, seed: Uint8Array): string {
  const signedText = `${encodePart(header)}.${encodePart(payload)}`;
  return `${signedText}.${Buffer.from(signEd25519(Buffer.from(signedText, "ascii"), seed)).toString("base64url")}`;
}

/** The code of a refusal, or `granted`. */
export const codeOf = (verdict: { granted: true } | { granted: false; refusal: { code: string } }): string =>
  verdict.granted ? "granted" : verdict.refusal.code;
