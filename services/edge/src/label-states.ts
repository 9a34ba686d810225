/**
 * What the edge knows of each label, and the time in which a label changes hands (DESIGN.md §6). A label is *in
 * transition* for 1.5 s after hand-over, after it was put, and after it went offline; only then requests are held. Blocked
 * and ended labels never are. Whoever waits for a label is woken by every change of it and by the end of its transition.
 */
import type { DoorState, Label, LeaveReason, LiveEntry } from "@keyhole/core";
import { lastSeenLimit, type MapContent } from "./map-files.ts";

/** How long a label counts as changing hands (DESIGN.md §6). */
export const transitionMs = 1500;

/** Somebody who waits for a label and may leave before anything happens. */
export type Waiting = { isGone: boolean; whenGone: (() => void) | undefined };

export type LabelStates = {
  isBlocked(label: Label): boolean;
  isLive(label: Label): boolean;
  inTransition(label: Label): boolean;
  lastSeen(label: Label): Date | undefined;
  put(entry: LiveEntry): void;
  delete(label: Label, leave: { readonly lastSeen: Date; readonly reason: LeaveReason }): void;
  replaceAll(state: DoorState): void;
  handOver(label: Label): void;
  block(label: Label): void;
  unblock(label: Label): void;
  /** Resolves true when the label changed or its transition ended, false when `waitMs` passed or the visitor left. */
  nextChange(label: Label, waitMs: number | undefined, visitor: Waiting): Promise<boolean>;
  /** Lets everybody who waits for the label look again. */
  wake(label: Label): void;
  liveCount(): number;
  /** Ends all transitions and wakes everybody: the edge stops. */
  close(): void;
};

export function createLabelStates(start: MapContent): LabelStates {
  let live = new Map<Label, Date>(start.live);
  let lastSeen = new Map<Label, Date>(start.lastSeen);
  let blocked = new Set<Label>(start.blocked.keys());
  const transitions = new Map<Label, NodeJS.Timeout>();
  const waiters = new Map<Label, Set<() => void>>();
  let closed = false;

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
    clearTimeout(transitions.get(label));
    transitions.delete(label);
  };
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
    inTransition: (label) => transitions.has(label),
    lastSeen: (label) => lastSeen.get(label),
    liveCount: () => live.size,
    wake,
    put(entry) {
      live.set(entry.label, entry.since);
      begin(entry.label);
      wake(entry.label);
    },
    delete(label, leave) {
      live.delete(label);
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
      for (const label of blocked) end(label);
      // A label that was live before has its route; one that is new may be ahead of frps by a moment, as after `put`.
      for (const label of live.keys()) if (!before.has(label)) begin(label);
      for (const label of [...waiters.keys()]) wake(label);
    },
    handOver(label) {
      begin(label);
    },
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
      for (const timer of transitions.values()) clearTimeout(timer);
      transitions.clear();
      for (const label of [...waiters.keys()]) wake(label);
    },
  };
}
