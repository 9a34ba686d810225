/**
 * How long each stage of an eviction takes, from the moment at which it was decided: blocked: the edge is told, and refuses new
 * requests from then on; cut, so that what is under way ends; kicked at frps; confirmed by frps's dashboard. One event a
 * session at the end, whether it was confirmed or not.
 */
import type { Label, SessionEnd } from "@keyhole/core";
import type { EventNotes } from "./event-notes.ts";
import type { ReadFrps } from "./frps-view.ts";
import type { EvictionStage, PluginRecorder } from "./plugin-figures.ts";
import type { Session, SessionRegistry } from "./session-registry.ts";

/** The clock of one eviction. */
type Eviction = {
  reached(stage: "blocked" | "cut" | "kicked"): void;
  /** After the kick: resolves when frps's dashboard does not show the client any more, or after 5 s. Never rejects. */
  confirm(): Promise<void>;
};

/** Watches evictions. */
export type EvictionWatch = {
  begin(session: Session, how: SessionEnd): Eviction;
  /** Nobody is waited for any more: the plugin stops. */
  close(): void;
};

/** How often frps is asked while somebody waits to be confirmed, in ms, and how often at most: for 5 s. */
const lookEveryMs = 50;
const mostLooks = 100;

/** Makes the watch. */
export function createEvictionWatch(deps: {
  readonly readFrps: ReadFrps;
  readonly registry: Pick<SessionRegistry, "living">;
  readonly notes: EventNotes;
  readonly recorder: Pick<PluginRecorder, "evicted" | "monotonicMs">;
}): EvictionWatch {
  const { readFrps, registry, notes, recorder } = deps;
  /** Run ids that should be gone, with whom to tell. */
  const awaited = new Map<string, { readonly label: Label; looks: number; readonly tell: (isGone: boolean) => void }>();
  let isLooking = false;
  let isClosed = false;

  async function look(): Promise<void> {
    const view = await readFrps().catch(() => undefined);
    const online = view === undefined || view === "gone" ? [] : view.clients.filter(({ isOnline }) => isOnline);
    const there = new Set(online.map(({ runId }) => runId));
    for (const [runId, waiting] of awaited) {
      const { label, tell } = waiting;
      waiting.looks += 1;
      // Who was only kicked may be back with its ticket: frps then shows the new login.
      const isBack = registry.living(label).some(({ ticket }) => ticket === runId);
      const isGone = view !== undefined && (!there.has(runId) || isBack);
      if (!isGone && waiting.looks < mostLooks) continue;
      awaited.delete(runId);
      tell(isGone);
    }
  }

  /** One loop for all of them: there may be thousands at a deadline. */
  async function lookUntilDone(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    while (awaited.size > 0) {
      await look();
      if (awaited.size > 0) await new Promise((resolve) => setTimeout(resolve, lookEveryMs).unref());
    }
    isLooking = false;
  }

  return {
    close() {
      isClosed = true;
      for (const { tell } of awaited.values()) tell(false);
      awaited.clear();
    },
    begin({ id, label, ticket }, how) {
      const startedMs = recorder.monotonicMs();
      const stages: Record<string, number> = {};
      const reach = (stage: EvictionStage): void => {
        const ms = recorder.monotonicMs() - startedMs;
        stages[`${stage}Ms`] = Math.round(ms);
        recorder.evicted(stage, ms / 1000);
      };
      return {
        reached: reach,
        async confirm() {
          if (isClosed) return;
          const isGone = await new Promise<boolean>((resolve) => {
            // Of one ticket at a time: the later eviction of it tells the same.
            awaited.get(ticket)?.tell(false);
            awaited.set(ticket, { label, looks: 0, tell: resolve });
            void lookUntilDone();
          });
          if (isGone) reach("confirmed");
          notes.note("session.evicted", label, { session: id, how, isConfirmed: isGone, ...stages });
        },
      };
    },
  };
}
