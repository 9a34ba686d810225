/**
 * The orders of the process that is killed: the same again for whoever looks at what it left behind.
 */
import { createHash } from "node:crypto";
import type { TokenOrder } from "@keyhole/core";
import { labelOf, plainOrder } from "./temporary-folder.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A wallet's order at a step, which is one second; every third is exclusive. */
export function orderOf(startSeconds: number, wallet: number, step: number): TokenOrder {
  const now = new Date((startSeconds + step) * 1000);
  const proofKey = `${startSeconds}/${wallet}/${step}`;
  return {
    ...plainOrder,
    label: labelOf(wallet),
    proofKey,
    provedAt: now,
    proofEndsAt: new Date(now.getTime() + 300_000),
    now,
    ttlSeconds: 86_400,
    isExclusive: step % 3 === 0,
    repeat: { keyHash: sha256(`key ${proofKey}`), requestHash: sha256(proofKey) },
  };
}
