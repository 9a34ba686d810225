/**
 * How a label passes from one session to the next: marked at the edge, the former client cut off there, then kicked at
 * frps (DESIGN.md §5). An edge that cannot be asked does not keep a newcomer out: the kick alone does it too, later.
 */
import type { Door, Label } from "@keyhole/core";
import { withinTime } from "./answer-time.ts";
import type { Kicks } from "./kicks.ts";
import type { Log } from "./log.ts";
import type { SessionConnections } from "./session-connections.ts";
import type { SessionRecords } from "./session-records.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** How long a hand-over may take inside a Login, in ms, when nothing else took its time; the rest of it goes on in the background. */
export const handOverBudgetMs = 700;
/** How long the edge holds requests for a newcomer, in ms; a label that nobody serves by then is offline. */
const handOverHoldMs = 1500;
/** How long a kick may take that nobody waits for, in ms. */
const kickMs = 5000;

/** So many of those at once. */
const disconnectsAtOnce = 64;

/** Takes labels and connections away from sessions. */
export type HandOver = {
  /** Ends the connections of the displaced. False when that was not done in so many ms; then it goes on in the background. */
  displace(newcomer: Session, displaced: readonly Session[], withinMs: number): Promise<boolean>;
  /** True, once, when the label's holder was displaced and nobody has taken the label up since. */
  conclude(label: Label): boolean;
  /** True while the label's holder was displaced and nobody has taken it up; after the hold it is offline. */
  isUnderWay(label: Label): boolean;
  /** Ends the session's connection at the edge and at frps, and tells when each is done. Never rejects. */
  disconnect(session: Session, reached: (stage: "cut" | "kicked") => void): Promise<void>;
};

/** Makes the hand-over. */
export function createHandOver(deps: {
  readonly registry: SessionRegistry;
  readonly door: Door;
  readonly kicks: Kicks;
  readonly connections: SessionConnections;
  readonly records: SessionRecords;
  readonly log: Log;
}): HandOver {
  const { registry, door, kicks, connections, records, log } = deps;
  let disconnecting = 0;
  const waiting: (() => void)[] = [];
  /** Labels whose holder was displaced and whose newcomer has not connected yet. */
  const open = new Set<Label>();

  /** After the hold: a label that was to be handed over, and that nobody has taken up, is offline. */
  function settle(label: Label): void {
    if (registry.living(label).some((session) => session.connectedAt !== undefined)) open.delete(label);
    if (open.delete(label)) void records.leave(label, "offline");
  }

  /** Resolves to what went wrong; undefined when every one of them is gone. */
  async function attempt({ label, ticket }: Session, displaced: readonly Session[]): Promise<string | undefined> {
    open.add(label);
    await door
      .handOver(label)
      .catch((cause: unknown) => log.warn({ label, cause: String(cause) }, "the edge could not be told of a hand-over"));
    setTimeout(() => settle(label), handOverHoldMs).unref();
    try {
      await Promise.all(
        displaced.map(async (former) => {
          await connections.cut(former);
          // The same ticket is the newcomer's own: frps closes that session itself, and a kick would close the newcomer.
          if (former.ticket !== ticket) await kicks.kick(former.ticket, handOverBudgetMs);
        }),
      );
      return undefined;
    } catch (cause) {
      return String(cause);
    }
  }

  return {
    async displace(newcomer, displaced, withinMs) {
      const cause = await withinTime(attempt(newcomer, displaced), withinMs, "it takes too long");
      if (cause === undefined) return true;
      log.warn({ label: newcomer.label, cause }, "a displaced client could not be closed in time");
      return false;
    },

    conclude: (label) => open.delete(label),
    isUnderWay: (label) => open.has(label),

    async disconnect(session, reached) {
      // Many deadlines may pass at once, and each kick is a connection to frps.
      if (disconnecting >= disconnectsAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
      disconnecting += 1;
      try {
        if (await connections.cut(session)) reached("cut");
        await kicks.kick(session.ticket, kickMs).then(
          () => reached("kicked"),
          (cause: unknown) => log.warn({ label: session.label, cause: String(cause) }, "an evicted client could not be kicked"),
        );
      } finally {
        disconnecting -= 1;
        waiting.shift()?.();
      }
    },
  };
}
