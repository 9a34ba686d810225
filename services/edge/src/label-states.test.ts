/** Transitions with a clock turned by hand: when a label counts as changing hands, and who is woken. */
import { type Label, parseLabel } from "@keyhole/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHoldRoom } from "./hold-room.ts";
import { createLabelStates, type LabelStates, returnMs, transitionMs } from "./label-states.ts";
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

  it("labels known from the files are settled when nobody is awaited; those that replaceAll brings are new", () => {
    const from = createLabelStates({ ...nothing, live: new Map([[label, since]]) });
    expect(from.inTransition(label)).toBe(false);
    const came = labelOf(2);
    from.replaceAll({ live: [label, came].map((each) => ({ label: each, since })), lastSeen: new Map(), blocked: new Set() });
    expect([from.inTransition(label), from.inTransition(came)]).toEqual([false, true]);
    from.close();
  });
});

describe("a fresh edge", () => {
  const at = new Date("2026-01-02T00:00:00Z");
  const before = (ms: number) => new Date(at.getTime() - ms);
  const ages = { now: 0, recent: 2999, long: 3001, "clock set back": -3001 };
  const labels = Object.fromEntries(Object.keys(ages).map((name, index) => [name, labelOf(10 + index)])) as Record<
    keyof typeof ages,
    Label
  >;
  const files = {
    live: new Map([[label, since]]),
    lastSeen: new Map(Object.entries(ages).map(([name, ms]) => [labels[name as keyof typeof ages], before(ms)])),
    blocked: new Map([[labelOf(3), "x"]]),
  };
  let fresh: LabelStates;
  beforeEach(() => {
    fresh = createLabelStates(files, { at, forMs: returnMs });
  });
  afterEach(() => fresh.close());

  it("awaits all that were live or had just left, for 3 s, with one timer, and wakes who waits", async () => {
    const all = [label, ...Object.values(labels)];
    expect(all.map((each) => fresh.isAwaited(each))).toEqual([true, true, true, false, false]);
    expect(fresh.inTransition(label)).toBe(true);
    expect(vi.getTimerCount()).toBe(1);
    const waits = fresh.nextChange(label, undefined, visitor());
    vi.advanceTimersByTime(returnMs - 1);
    expect(fresh.inTransition(label)).toBe(true);
    vi.advanceTimersByTime(1);
    expect(await waits).toBe(true);
    expect(all.map((each) => fresh.inTransition(each))).toEqual([false, false, false, false, false]);
  });

  it("12: awaits nobody who is blocked, and no longer who is blocked or has ended", () => {
    const blocked = createLabelStates({ ...files, blocked: new Map([[label, "x"]]) }, { at, forMs: returnMs });
    expect(blocked.inTransition(label)).toBe(false);
    blocked.close();
    fresh.block(label);
    fresh.delete(labels.now, { lastSeen: at, reason: "ended" });
    expect([fresh.inTransition(label), fresh.inTransition(labels.now)]).toEqual([false, false]);
  });

  it("no longer awaits a label that answers: it is settled; one that is put changes hands for 1.5 s", async () => {
    const waits = fresh.nextChange(label, undefined, visitor());
    fresh.answered(label);
    expect(await waits).toBe(true);
    expect(fresh.inTransition(label)).toBe(false);
    fresh.put({ label: labels.now, since: at });
    expect([fresh.isAwaited(labels.now), fresh.inTransition(labels.now)]).toEqual([false, true]);
    vi.advanceTimersByTime(transitionMs);
    expect(fresh.inTransition(labels.now)).toBe(false);
  });

  it("goes on awaiting a label that is said to be offline, or is missing in a full push", () => {
    fresh.delete(label, { lastSeen: at, reason: "offline" });
    vi.advanceTimersByTime(transitionMs);
    expect(fresh.inTransition(label)).toBe(true);
    fresh.replaceAll({ live: [], lastSeen: new Map(), blocked: new Set([labels.now]) });
    expect([fresh.isAwaited(label), fresh.isAwaited(labels.recent), fresh.isAwaited(labels.now)]).toEqual([true, true, false]);
  });

  it("takes from a full push who is back: whose time is another than in the file", () => {
    fresh.replaceAll({ live: [{ label: labels.now, since: at }], lastSeen: new Map(), blocked: new Set() });
    fresh.replaceAll({ live: [label, labels.now].map((each) => ({ label: each, since })), lastSeen: new Map(), blocked: new Set() });
    expect([fresh.isAwaited(label), fresh.isAwaited(labels.now), fresh.inTransition(labels.now)]).toEqual([false, false, true]);
    const again = createLabelStates(files, { at, forMs: returnMs });
    again.replaceAll({ live: [{ label, since }], lastSeen: new Map(), blocked: new Set() });
    expect(again.isAwaited(label)).toBe(true);
    again.replaceAll({ live: [{ label, since: at }], lastSeen: new Map(), blocked: new Set() });
    expect([again.isAwaited(label), again.inTransition(label)]).toEqual([false, true]);
    again.close();
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
