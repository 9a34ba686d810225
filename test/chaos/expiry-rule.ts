/**
 * Whose time is up is gone (DESIGN.md §5: at the deadline, evict). Within 2 s of the end of the newest token that the label
 * has bought, no request is answered by its app any more. The plugin ends sessions and the edge refuses, so both must have
 * been there: after a restart each has a little longer.
 */
import { createEnforcers } from "./enforcers.ts";
import type { HistoryEvent } from "./history.ts";

const graceMs = 2000;

export type ExpiryRule = {
  tell(event: HistoryEvent): string | undefined;
  /** Requests that came after a label's time. */
  judged(): number;
  /** When the label's time is surely up, in ms; undefined when it has bought nothing. */
  deadlineOf(label: string): number | undefined;
  /** Until when the label has surely bought time, in ms: of tokens that were acknowledged. 0 when there is none. */
  boughtUntil(label: string): number;
};

/** Makes the rule. `ttlSeconds` is the life of a token. */
export function createExpiryRule(ttlSeconds: number): ExpiryRule {
  let judged = 0;
  const deadlines = new Map<string, number>();
  const bought = new Map<string, number>();
  const underWay = new Map<string, number>();
  const enforcers = createEnforcers();
  const extend = (label: string, deadline: number): void => void deadlines.set(label, Math.max(deadlines.get(label) ?? 0, deadline));
  const count = (label: string, by: number): void => void underWay.set(label, (underWay.get(label) ?? 0) + by);

  return {
    judged: () => judged,
    deadlineOf: (label) => deadlines.get(label),
    boughtUntil: (label) => bought.get(label) ?? 0,
    tell(event) {
      enforcers.tell(event);
      switch (event.kind) {
        case "token-asked":
          count(event.label, 1);
          return undefined;
        case "token-answered":
          count(event.label, -1);
          if (event.grant !== undefined) {
            extend(event.label, event.grant.expiresAt * 1000);
            bought.set(event.label, Math.max(bought.get(event.label) ?? 0, event.grant.expiresAt * 1000));
          }
          // It may have been recorded, though we were not told.
          else if (event.outcome.kind === "failed" || event.outcome.status >= 500) extend(event.label, event.at + (ttlSeconds + 3) * 1000);
          return undefined;
        case "request": {
          const { label, startedAt, outcome } = event;
          const deadline = deadlines.get(label);
          if (deadline !== undefined && startedAt > deadline + graceMs) judged += 1;
          if (outcome.kind !== "answered" || outcome.status !== 200 || deadline === undefined || (underWay.get(label) ?? 0) > 0)
            return undefined;
          const bothSince = enforcers.enforceSince();
          if (bothSince === undefined || startedAt <= Math.max(deadline + graceMs, bothSince)) return undefined;
          return `answered with 200, ${Math.round(startedAt - deadline)} ms after the label's newest token had expired`;
        }
        default:
          return undefined;
      }
    },
  };
}
