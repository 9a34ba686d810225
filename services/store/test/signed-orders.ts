/** The orders of the first account of the tests, on their clock: each is signed after the one before it. */
import type { TokenOrder } from "@keyhole/core";
import { labelOf, plainOrder } from "./temporary-folder.ts";

/** The clock of the tests, in seconds since 1970, when they begin. */
export const start = 1_800_000_000;

/** The instant so many seconds after the tests begin. */
export const at = (seconds: number): Date => new Date((start + seconds) * 1000);

let signed = 1000;
const signLater = (): Date => {
  signed += 1;
  return at(signed);
};

/** An order with this proof, signed later than every order before it, with what the test changes in it. */
export const signedOrder = (proofKey: string, change: Partial<TokenOrder> = {}): TokenOrder => ({
  ...plainOrder,
  label: labelOf(1),
  proofKey,
  provedAt: signLater(),
  proofEndsAt: new Date((change.now ?? at(0)).getTime() + 600_000),
  now: at(0),
  ...change,
});
