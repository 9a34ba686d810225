/** Transitions with a clock turned by hand: when a label counts as changing hands, and who is woken. */
import { type Label, parseLabel } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHoldRoom } from "./hold-room.ts";
import { createLabelStates, type LabelStates, transitionMs } from "./label-states.ts";
import { lastSeenLimit } from "./map-files.ts";

const labelOf = (number: number): Label => {
  const label = parseLabel(`0x${number.toString(16).padStart(40, "0")}`);
  if (label === undefined) throw new Error("no label");
  return label;
};
const label = labelOf(1);
const since = new Date("2026-01-01T00:00:00Z");
const offline = { lastSeen: since, reason: "offline" } as const;
const visitor = () => ({ isGone: false, whenGone: undefined as (() => void) | undefined });
const nothing = { live: new Map<Label, Date>(), lastSeen: new Map<Label, Date>(), blocked: new Map<Label, string>() };

let states: LabelStates;
beforeEach(() => {
  vi.useFakeTimers();
  states = createLabelStates(nothing);
});
afterEach(() => {
  states.close();
  vi.useRealTimers();
});

describe("transitions", () => {
  it.each([
    ["put", () => states.put({ label, since })],
    ["hand-over", () => states.handOver(label)],
    ["going offline", () => states.delete(label, offline)],
  ])("%s begins one of 1.5 s", (_name, act) => {
    expect(states.inTransition(label)).toBe(false);
    act();
    vi.advanceTimersByTime(transitionMs - 1);
    expect(states.inTransition(label)).toBe(true);
    vi.advanceTimersByTime(1);
    expect(states.inTransition(label)).toBe(false);
  });

  it("each new event begins it anew", () => {
    states.handOver(label);
    vi.advanceTimersByTime(1000);
    states.put({ label, since });
    vi.advanceTimersByTime(1000);
    expect(states.inTransition(label)).toBe(true);
  });

  it("12: an ended or blocked label has none, whatever ran before or comes after", () => {
    states.handOver(label);
    states.delete(label, { ...offline, reason: "ended" });
    expect(states.inTransition(label)).toBe(false);
    states.handOver(label);
    states.block(label);
    expect(states.inTransition(label)).toBe(false);
    states.put({ label, since });
    states.handOver(label);
    states.delete(label, offline);
    expect(states.inTransition(label)).toBe(false);
  });

  it("labels known from the files are settled; those that replaceAll brings are new", () => {
    const from = createLabelStates({ ...nothing, live: new Map([[label, since]]) });
    expect(from.inTransition(label)).toBe(false);
    const came = labelOf(2);
    from.replaceAll({ live: [label, came].map((each) => ({ label: each, since })), lastSeen: new Map(), blocked: new Set() });
    expect([from.inTransition(label), from.inTransition(came)]).toEqual([false, true]);
    from.close();
  });
});

describe("waiting", () => {
  it.each([
    ["put", () => states.put({ label, since })],
    ["delete", () => states.delete(label, offline)],
    ["block", () => states.block(label)],
    ["unblock", () => states.unblock(label)],
    ["replaceAll", () => states.replaceAll({ live: [], lastSeen: new Map(), blocked: new Set() })],
    ["the end of the transition", () => vi.advanceTimersByTime(transitionMs)],
    ["the edge's stop", () => states.close()],
  ])("%s wakes", async (_name, act) => {
    states.handOver(label);
    const waits = states.nextChange(label, undefined, visitor());
    act();
    expect(await waits).toBe(true);
  });

  it("ends with its time, with its visitor, and at once for a visitor that is gone", async () => {
    const timed = states.nextChange(label, 50, visitor());
    vi.advanceTimersByTime(50);
    expect(await timed).toBe(false);
    const leaving = visitor();
    const left = states.nextChange(label, undefined, leaving);
    leaving.whenGone?.();
    expect(await left).toBe(false);
    expect(await states.nextChange(label, undefined, { ...visitor(), isGone: true })).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("another label's change wakes nobody", async () => {
    const waits = states.nextChange(label, 10, visitor());
    states.put({ label: labelOf(2), since });
    vi.advanceTimersByTime(10);
    expect(await waits).toBe(false);
  });
});

it("last seen is bounded, and the oldest is forgotten first", () => {
  for (let number = 0; number <= lastSeenLimit; number += 1) states.delete(labelOf(number), { lastSeen: since, reason: "ended" });
  expect(states.lastSeen(labelOf(0))).toBeUndefined();
  expect(states.lastSeen(labelOf(1))).toEqual(since);
});

describe("createHoldRoom", () => {
  it("counts overall, per label and per visitor, and gives seats back", () => {
    const room = createHoldRoom({ overall: 3, perLabel: 2, perSource: 3 });
    expect([room.take(label, "a"), room.take(label, "b"), room.take(label, "b")]).toEqual([true, true, false]);
    expect([room.take(labelOf(2), "a"), room.take(labelOf(3), "b")]).toEqual([true, false]);
    room.leave(label, "a");
    room.leave(labelOf(9), "a");
    expect(room.held()).toBe(2);
    expect(room.take(labelOf(3), "b")).toBe(true);
    const narrow = createHoldRoom({ overall: 9, perLabel: 9, perSource: 1 });
    expect([narrow.take(label, "a"), narrow.take(labelOf(2), "a"), narrow.take(label, "b")]).toEqual([true, false, true]);
  });
});
