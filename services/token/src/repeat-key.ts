/**
 * What makes a request a repeat of another (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header): the key, and
 * everything that decides what is bought. Only hashes are kept: a key may be guessable, and the rest holds a proof.
 */
import { createHash } from "node:crypto";
import { grant, refuse, type TokenOrder, type Verdict } from "@keyhole/core";

const form = /^[\x20-\x7e]{1,255}$/;

/** Reads the header. */
export function parseIdempotencyKey(header: string | undefined): Verdict<string | undefined> {
  return header === undefined || form.test(header) ? grant(header) : refuse("IDEMPOTENCY_KEY_MALFORMED");
}

/** Derives both hashes of a request. What only shapes the answer's looks (`Accept`, `?port=`) is not part of it. */
export function deriveRepeat(
  key: string,
  request: {
    readonly purpose: string;
    readonly body: Uint8Array;
    readonly authorization: string | undefined;
    readonly isExclusive: boolean;
  },
): NonNullable<TokenOrder["repeat"]> {
  const head = JSON.stringify([request.purpose, request.authorization ?? null, request.isExclusive]);
  return {
    keyHash: createHash("sha256").update(key).digest("hex"),
    // A JSON text ends by itself: where it stops and the body begins is never in doubt.
    requestHash: createHash("sha256").update(head).update(request.body).digest("hex"),
  };
}
