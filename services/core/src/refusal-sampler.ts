/**
 * Which refusals are remembered as events when somebody is refused a million times: the first of each code at once, then how
 * many more came in the while that it opened. A while is a minute; where one follows the other, each is twice as long as the
 * one before, up to an hour. So whatever is sent to us, a code costs at most two events a while, and no flood pushes the
 * rest of the history out of its retention.
 */
import type { EventEntry } from "./event.ts";
import type { Label } from "./label.ts";
import type { RefusalCode } from "./refusals.ts";

/** Where somebody was refused. */
type RefusalSurface = "token" | "hook";

/** Counts refusals, and says which events tell of them. As many counters as the catalogue has codes. */
export type RefusalSampler = {
  /** One refusal; `label` only where it was proved. Returns the events to be written now, none for most. */
  note(code: RefusalCode, label: Label | undefined, now: Date): readonly EventEntry[];
  /** The events of every while that is over. To be called about once a minute. */
  flush(now: Date): readonly EventEntry[];
  /** The events of every while, over or not: before the end. */
  drain(now: Date): readonly EventEntry[];
};

const shortestMs = 60_000;
const longestMs = 3_600_000;

type While = { readonly since: number; readonly lengthMs: number; more: number };

/** Makes a sampler that has seen nothing. */
export function createRefusalSampler({ surface }: { readonly surface: RefusalSurface }): RefusalSampler {
  const whiles = new Map<RefusalCode, While>();

  /** Over, or the clock was set back. */
  const isOver = ({ since, lengthMs }: While, time: number): boolean => time >= since + lengthMs || time < since;

  const tell = (code: RefusalCode, { since, more }: While, now: Date): readonly EventEntry[] =>
    more === 0 ? [] : [{ at: now, event: "refused", detail: { code, surface, more, since: new Date(since).toISOString() } }];

  /** A while that nobody came back in, and another as long behind it, and the code counts as new. */
  const isForgotten = ({ since, lengthMs }: While, time: number): boolean => time >= since + 2 * lengthMs || time < since;

  return {
    note(code, label, now) {
      const time = now.getTime();
      const former = whiles.get(code);
      if (former !== undefined && !isOver(former, time)) {
        former.more += 1;
        return [];
      }
      const isOngoing = former !== undefined && !isForgotten(former, time);
      const lengthMs = isOngoing ? Math.min(2 * former.lengthMs, longestMs) : shortestMs;
      whiles.set(code, { since: time, lengthMs, more: 0 });
      const first: EventEntry = { at: now, event: "refused", ...(label === undefined ? {} : { label }), detail: { code, surface } };
      return [...(former === undefined ? [] : tell(code, former, now)), first];
    },
    flush(now) {
      const time = now.getTime();
      return [...whiles].flatMap(([code, one]) => {
        if (!isOver(one, time)) return [];
        const told = tell(code, one, now);
        one.more = 0;
        if (isForgotten(one, time)) whiles.delete(code);
        return told;
      });
    },
    drain(now) {
      const told = [...whiles].flatMap(([code, one]) => tell(code, one, now));
      whiles.clear();
      return told;
    },
  };
}
