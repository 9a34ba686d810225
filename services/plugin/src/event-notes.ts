/**
 * What happened, for the chain of events: written behind the answers, as the rows of sessions are. A disk that is full keeps
 * nobody out; what could not be written is counted and said once it can be written again.
 */
import type { EventDetail, EventName, Label, SessionStore } from "@keyhole/core";
import type { Log } from "./log.ts";

/** Notes of one plugin. */
export type EventNotes = {
  /** Never waits and never throws. The detail holds no secret. */
  note(event: EventName, label: Label | undefined, detail: EventDetail): void;
};

/** Makes them. */
export function createEventNotes(deps: { readonly sessions: SessionStore; readonly now: () => Date; readonly log: Log }): EventNotes {
  const { sessions, now, log } = deps;
  let lost = 0;
  return {
    note(event, label, detail) {
      sessions.saveEvents([{ at: now(), event, ...(label === undefined ? {} : { label }), detail }]).then(
        () => {
          if (lost > 0) log.warn({ event: "events.lost", lost }, "events could not be written for a while, and are not in the chain");
          lost = 0;
        },
        () => {
          lost += 1;
        },
      );
    },
  };
}
