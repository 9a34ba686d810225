/**
 * What the edge knows of each label, and the time in which a label changes hands (DESIGN.md §6). A label is *in
 * transition* for 1.5 s after hand-over, after it was put, and after it went offline; only then requests are held. Blocked
 * and ended labels never are. Whoever waits for a label is woken by every change of it and by the end of its transition.
 *
 * A fresh edge has no client yet: with the former edge every one lost its connection, and is on its way back. So each label
 * that was live, or had just left, is *awaited* for 3 s, which is a transition too, until it is put or answers.
 */
import type { DoorState, Label, LeaveReason, LiveEntry } from "@keyhole/core";
import { lastSeenLimit, type MapContent } from "./map-files.ts";

/** How long a label counts as changing hands (DESIGN.md §6). */
export const transitionMs = 1500;
/** How long after its start an edge counts on clients to come back: frpc dials again 0.3 to 1 s after its connection broke. */
export const returnMs = 3000;

/** What the files say of labels. */
type LabelContent = Pick<MapContent, "live" | "lastSeen" | "blocked">;

/** Somebody who waits for a label and may leave before anything happens. */
export type Waiting = { isGone: boolean; whenGone: (() => void) | undefined };

export type LabelStates = {
  isBlocked(label: Label): boolean;
  isLive(label: Label): boolean;
  inTransition(label: Label): boolean;
  /** Its client lost its connection with the former edge, and nobody has seen it since. */
  isAwaited(label: Label): boolean;
  /** Its app has answered, so its client is there. */
  answered(label: Label): void;
  lastSeen(label: Label): Date | undefined;
  put(entry: LiveEntry): void;
  delete(label: Label, leave: { readonly lastSeen: Date; readonly reason: LeaveReason }): void;
  replaceAll(state: Pick<DoorState, "live" | "lastSeen" | "blocked">): void;
  handOver(label: Label): void;
  block(label: Label): void;
  unblock(label: Label): void;
  /** Resolves true when the label changed or its transition ended, false when `waitMs` passed or the visitor left. */
  nextChange(label: Label, waitMs: number | undefined, visitor: Waiting): Promise<boolean>;
  /** Lets everybody who waits for the label look again. */
  wake(label: Label): void;
  liveCount(): number;
  /** Its client's connection has ended; nobody has said yet what becomes of the label. Nothing for one that is not live. */
  lose(label: Label): void;
  /** Live by what was said last, but its client is gone. */
  isLost(label: Label): boolean;
  /** Ends all transitions and wakes everybody: the edge stops. */
  close(): void;
};

/** What the files say is where it begins; `fresh` says that clients are awaited, and since when. */
export function createLabelStates(start: LabelContent, fresh?: { readonly at: Date; readonly forMs: number }): LabelStates {
  let live = new Map<Label, Date>(start.live);
  let lastSeen = new Map<Label, Date>(start.lastSeen);
  let blocked = new Set<Label>(start.blocked.keys());
  const transitions = new Map<Label, NodeJS.Timeout>();
  const waiters = new Map<Label, Set<() => void>>();
  let closed = false;
  const lost = new Set<Label>();
  let awaited = fresh === undefined ? new Set<Label>() : recentLabels(start, fresh);

  const wake = (label: Label): void => {
    const waiting = waiters.get(label);
    if (waiting === undefined) return;
    waiters.delete(label);
    for (const resume of waiting) resume();
  };
  const begin = (label: Label): void => {
    if (closed || blocked.has(label)) return;
    const running = transitions.get(label);
    if (running !== undefined) {
      running.refresh();
      return;
    }
    const timer = setTimeout(() => {
      transitions.delete(label);
      wake(label);
    }, transitionMs);
    transitions.set(label, timer.unref());
  };
  const end = (label: Label): void => {
    awaited.delete(label);
    clearTimeout(transitions.get(label));
    transitions.delete(label);
  };
  // One timer for all of them: there may be as many as there are tunnels.
  const awaiting =
    awaited.size === 0
      ? undefined
      : setTimeout(() => {
          const late = awaited;
          awaited = new Set();
          for (const label of late) {
            if (live.has(label)) lost.add(label);
            wake(label);
          }
        }, fresh?.forMs).unref();
  const see = (label: Label, date: Date): void => {
    // Deleted first, so that the map's order is the order of leaving and the oldest is dropped.
    lastSeen.delete(label);
    lastSeen.set(label, date);
    if (lastSeen.size <= lastSeenLimit) return;
    for (const oldest of lastSeen.keys()) {
      lastSeen.delete(oldest);
      break;
    }
  };

  return {
    isBlocked: (label) => blocked.has(label),
    isLive: (label) => live.has(label),
    inTransition: (label) => transitions.has(label) || awaited.has(label),
    isAwaited: (label) => awaited.has(label),
    answered(label) {
      lost.delete(label);
      if (awaited.delete(label)) wake(label);
    },
    lastSeen: (label) => lastSeen.get(label),
    liveCount: () => live.size,
    wake,
    put(entry) {
      live.set(entry.label, entry.since);
      lost.delete(entry.label);
      awaited.delete(entry.label);
      begin(entry.label);
      wake(entry.label);
    },
    delete(label, leave) {
      live.delete(label);
      lost.delete(label);
      see(label, leave.lastSeen);
      if (leave.reason === "offline") begin(label);
      else end(label);
      wake(label);
    },
    replaceAll(state) {
      const before = live;
      live = new Map(state.live.map((entry) => [entry.label, entry.since]));
      lastSeen = new Map(state.lastSeen);
      blocked = new Set(state.blocked);
      lost.clear();
      for (const label of blocked) end(label);
      for (const [label, since] of live) {
        const known = before.get(label);
        const isBack = awaited.has(label) && known?.getTime() !== since.getTime();
        // A label that was live before has its route; one that is new may be ahead of frps by a moment, as after `put`.
        if (known !== undefined && !isBack) continue;
        awaited.delete(label);
        begin(label);
      }
      // Who is awaited and not in the list went offline with the former edge, and is awaited still.
      for (const label of [...waiters.keys()]) wake(label);
    },
    handOver(label) {
      begin(label);
    },
    lose(label) {
      if (!live.has(label)) return;
      lost.add(label);
      begin(label);
    },
    isLost: (label) => lost.has(label),
    block(label) {
      blocked.add(label);
      end(label);
      wake(label);
    },
    unblock(label) {
      blocked.delete(label);
      wake(label);
    },
    nextChange(label, waitMs, visitor) {
      if (closed || visitor.isGone) return Promise.resolve(false);
      return new Promise((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const finish = (hasChanged: boolean): void => {
          clearTimeout(timer);
          visitor.whenGone = undefined;
          const waiting = waiters.get(label);
          if (waiting?.delete(resume) === true && waiting.size === 0) waiters.delete(label);
          resolve(hasChanged);
        };
        const resume = (): void => finish(true);
        visitor.whenGone = () => finish(false);
        if (waitMs !== undefined) timer = setTimeout(finish, waitMs, false);
        const waiting = waiters.get(label);
        if (waiting === undefined) waiters.set(label, new Set([resume]));
        else waiting.add(resume);
      });
    },
    close() {
      closed = true;
      clearTimeout(awaiting);
      awaited.clear();
      for (const timer of transitions.values()) clearTimeout(timer);
      transitions.clear();
      for (const label of [...waiters.keys()]) wake(label);
    },
  };
}

/** Labels that were live when the former edge ended, or whose leaving was written down around then. */
function recentLabels(start: LabelContent, fresh: { readonly at: Date; readonly forMs: number }): Set<Label> {
  if (fresh.forMs <= 0) return new Set();
  const recent = new Set(start.live.keys());
  for (const [label, date] of start.lastSeen) if (Math.abs(fresh.at.getTime() - date.getTime()) <= fresh.forMs) recent.add(label);
  for (const label of start.blocked.keys()) recent.delete(label);
  return recent;
}
