/**
 * Reads what a wallet sent: `{walletAddress, timestamp, signature}`. Checked in this order, the cheap before the dear:
 * address, timestamp, signature's presence; the signature itself is `verifyProof`'s. Other fields are ignored. Total.
 */
import { grant, parseIdentity, type RefusalCode, refuse, type Verdict } from "@keyhole/core";

/** The three fields, with an address that can hold a tunnel and a timestamp inside the window. */
export type SignedOrder = { readonly walletAddress: string; readonly timestamp: number; readonly signature: string };

/** Unix seconds reach this in the year 5138; anything above is milliseconds. */
const firstMilliseconds = 100_000_000_000;

/** Facts that let a client whose clock is wrong sign the right time. `skewSeconds` = its clock minus ours. */
export function describeSkew(now: Date, timestamp?: number): Record<string, number> {
  const serverTime = Math.floor(now.getTime() / 1000);
  return timestamp === undefined ? { serverTime } : { serverTime, skewSeconds: timestamp - serverTime };
}

/** Reads an order at a moment. Never throws. */
export function parseSignedOrder(
  body: Readonly<Record<string, unknown>>,
  settings: { readonly timestampWindowSeconds: number; readonly now: Date },
): Verdict<SignedOrder> {
  const { walletAddress, timestamp, signature } = body;
  const identity = parseIdentity(walletAddress);
  if (!identity.granted) return identity;
  // Known, printable, and not served yet: said before anybody is asked to sign.
  if (identity.value.namespace !== "eip155" || typeof walletAddress !== "string") return refuse("WALLET_UNSUPPORTED");
  const flaw = findTimestampFlaw(timestamp, settings);
  if (flaw !== undefined || typeof timestamp !== "number") {
    const isSeconds = flaw === "TIMESTAMP_EXPIRED" || flaw === "TIMESTAMP_IN_FUTURE";
    return refuse(flaw ?? "TIMESTAMP_MALFORMED", describeSkew(settings.now, isSeconds ? Number(timestamp) : undefined));
  }
  if (typeof signature !== "string" || signature === "") return refuse("SIGNATURE_MISSING");
  return grant({ walletAddress, timestamp, signature });
}

function findTimestampFlaw(
  timestamp: unknown,
  { timestampWindowSeconds, now }: { readonly timestampWindowSeconds: number; readonly now: Date },
): RefusalCode | undefined {
  if (timestamp === undefined || timestamp === null) return "TIMESTAMP_MISSING";
  if (typeof timestamp !== "number" || !Number.isSafeInteger(timestamp)) return "TIMESTAMP_MALFORMED";
  if (timestamp < 0 || timestamp >= firstMilliseconds) return "TIMESTAMP_MALFORMED";
  const skewSeconds = timestamp - Math.floor(now.getTime() / 1000);
  if (skewSeconds < -timestampWindowSeconds) return "TIMESTAMP_EXPIRED";
  return skewSeconds > timestampWindowSeconds ? "TIMESTAMP_IN_FUTURE" : undefined;
}
