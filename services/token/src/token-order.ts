/**
 * Reads what a wallet sent: `{walletAddress, timestamp, signature}`. Told in this order: address, timestamp, signature's
 * presence; the signature itself is `verifyProof`'s. Total.
 */
import { grant, parseIdentity, type RefusalCode, refuse, type Verdict } from "@keyhole/core";

/** The three fields, with a timestamp inside the window. */
export type SignedOrder = { readonly walletAddress: string; readonly timestamp: number; readonly signature: string };

/** Unix seconds reach this in the year 5138; anything above is milliseconds. */
const firstMilliseconds = 100_000_000_000;

/** Facts that let a client whose clock is wrong sign the right time. `skewSeconds` = its clock minus ours. */
export function describeSkew(now: Date, timestamp?: number): Record<string, number> {
  const serverTime = Math.floor(now.getTime() / 1000);
  return timestamp === undefined ? { serverTime } : { serverTime, skewSeconds: timestamp - serverTime };
}

/**
 * Reads an order at a moment. An address is looked at when something else is wrong, because it is what a caller is told of
 * first; otherwise `verifyProof` begins with it, and once is enough. Never throws.
 */
export function parseSignedOrder(
  body: Readonly<Record<string, unknown>>,
  settings: { readonly timestampWindowSeconds: number; readonly now: Date },
): Verdict<SignedOrder> {
  const { walletAddress } = body;
  if (typeof walletAddress !== "string") return refuse("WALLET_REQUIRED");
  const rest = parseTimestampAndSignature(body, settings);
  if (rest.granted) return grant({ walletAddress, ...rest.value });
  const identity = parseIdentity(walletAddress);
  return identity.granted ? rest : identity;
}

function parseTimestampAndSignature(
  { timestamp, signature }: Readonly<Record<string, unknown>>,
  settings: { readonly timestampWindowSeconds: number; readonly now: Date },
): Verdict<Omit<SignedOrder, "walletAddress">> {
  const flaw = findTimestampFlaw(timestamp, settings);
  if (flaw !== undefined || typeof timestamp !== "number") {
    const isSeconds = flaw === "TIMESTAMP_STALE" || flaw === "TIMESTAMP_IN_FUTURE";
    return refuse(flaw ?? "TIMESTAMP_TYPE", describeSkew(settings.now, isSeconds ? Number(timestamp) : undefined));
  }
  if (typeof signature !== "string" || signature === "") return refuse("SIGNATURE_REQUIRED");
  return grant({ timestamp, signature });
}

function findTimestampFlaw(
  timestamp: unknown,
  { timestampWindowSeconds, now }: { readonly timestampWindowSeconds: number; readonly now: Date },
): RefusalCode | undefined {
  if (timestamp === undefined || timestamp === null) return "TIMESTAMP_REQUIRED";
  if (typeof timestamp !== "number" || !Number.isSafeInteger(timestamp)) return "TIMESTAMP_TYPE";
  if (Math.abs(timestamp) >= firstMilliseconds) return "TIMESTAMP_TYPE";
  const skewSeconds = timestamp - Math.floor(now.getTime() / 1000);
  if (skewSeconds < -timestampWindowSeconds) return "TIMESTAMP_STALE";
  return skewSeconds > timestampWindowSeconds ? "TIMESTAMP_IN_FUTURE" : undefined;
}
