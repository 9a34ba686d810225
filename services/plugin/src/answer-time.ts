/**
 * The time that a Login has. Each has one moment by which it must be answered; what it still has to wait for may have what
 * is left, and nobody is displaced for a newcomer whose answer would come too late.
 */
import { type Refusal, refuse } from "@keyhole/core";

/** What is left, in ms, before somebody else answers in our place; 0 when nobody waits any more. */
export type TimeLeft = () => number;

/** The time of one Login. */
export type AnswerTime = {
  readonly left: TimeLeft;
  /** The registry has used up some of it; asked again it answers at once. */
  readonly hasWaitedForRegistry: boolean;
};

/** Of whoever is not waited for. */
export const endlessTime: AnswerTime = { left: () => Number.POSITIVE_INFINITY, hasWaitedForRegistry: false };

/** What a hand-over must be able to have, in ms: less would only cost the former client its tunnel. */
const handOverMs = 250;
/** The same where the next try has more time for sure. */
const handOverAfterRegistryMs = 450;
/** Kept for the answer itself, in ms. */
const marginMs = 50;

/** Refuses with `GATEWAY_PENDING` or `HANDOVER_PENDING` when it is too late to begin. `isHandOver`: somebody else has to go first. */
export function judgeTime({ left, hasWaitedForRegistry }: AnswerTime, isHandOver: boolean): Refusal | undefined {
  const needed = hasWaitedForRegistry ? handOverAfterRegistryMs : handOverMs;
  if (left() > (isHandOver ? needed : 0)) return undefined;
  return refuse(hasWaitedForRegistry ? "GATEWAY_PENDING" : "HANDOVER_PENDING").refusal;
}

/** What may be waited for, in ms: at most so long, and never so long that nothing is left for the answer. */
export const waitable = (left: TimeLeft, atMostMs: number): number => Math.max(0, Math.min(atMostMs, left() - marginMs));

/** What the work comes to, or the other value when that takes longer. The work goes on. */
export async function withinTime<Result>(work: Promise<Result>, ms: number, otherwise: Result): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<Result>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ms);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
