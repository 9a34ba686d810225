/**
 * Events on their way into a file that may not take them just now: they wait, in their order, and nobody waits for them. What
 * is more than a full disk lets us keep is lost, and counted.
 */
import type { EventEntry } from "@keyhole/core";
import type { Log } from "../log.ts";

/** Entries that are not durable yet. */
export type EventOutbox = {
  /** Has them written behind whatever is going on. Never throws, never waits. */
  put(entries: readonly EventEntry[]): void;
  /** Tries what waits. Resolves to whether all of it is durable; never rejects. */
  flush(): Promise<boolean>;
};

const mostWaiting = 1000;

/** Makes the outbox in front of one store. */
export function createEventOutbox(options: {
  readonly save: (entries: readonly EventEntry[]) => Promise<void>;
  readonly log: Pick<Log, "warn">;
}): EventOutbox {
  const { save, log } = options;
  let waiting: EventEntry[] = [];
  let sending: Promise<boolean> | undefined;
  let isFailing = false;
  let lost = 0;

  async function send(): Promise<boolean> {
    // Not in the turn of whoever put something: `sending` is set by then.
    await undefined;
    while (waiting.length > 0 && (await sendBatch()));
    sending = undefined;
    return waiting.length === 0;
  }

  /** False when it could not be written. */
  async function sendBatch(): Promise<boolean> {
    const batch = waiting;
    waiting = [];
    try {
      await save(batch);
    } catch (cause) {
      waiting = [...batch, ...waiting];
      lost += Math.max(0, waiting.length - mostWaiting);
      waiting = waiting.slice(0, mostWaiting);
      if (!isFailing) log.warn({ event: "events.unwritten", cause: String(cause) }, "events cannot be written; they wait");
      isFailing = true;
      return false;
    }
    if (isFailing) log.warn({ event: "events.written-again", lost }, "events can be written again");
    isFailing = false;
    lost = 0;
    return true;
  }

  /** What is put while something is being sent goes with it. */
  function flush(): Promise<boolean> {
    sending ??= send();
    return sending;
  }

  return {
    put(entries) {
      if (entries.length === 0) return;
      const room = mostWaiting - waiting.length;
      lost += Math.max(0, entries.length - room);
      waiting.push(...entries.slice(0, Math.max(0, room)));
      // A disk that takes nothing is not asked at every refusal.
      if (!isFailing) void flush();
    },
    flush,
  };
}
