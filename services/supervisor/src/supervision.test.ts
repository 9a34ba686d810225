import { expect, test } from "vitest";
import {
  decideSupervision,
  initialSupervision,
  type Supervision,
  type SupervisionEffect,
  type SupervisionEvent,
  type SupervisionLimits,
} from "./supervision.ts";

const limits: SupervisionLimits = {
  readyTimeoutMs: 7000,
  stopGraceMs: 3000,
  stableMs: 10_000,
  backoffMinMs: 100,
  backoffMaxMs: 5000,
  healthIntervalMs: 2000,
  healthMisses: 4,
};

function play(...events: SupervisionEvent[]): { state: Supervision; effects: readonly SupervisionEffect[] } {
  let state = initialSupervision;
  let effects: readonly SupervisionEffect[] = [];
  for (const event of events) [state, effects] = decideSupervision(state, event, limits);
  return { state, effects };
}

const asked = { kind: "start-asked" } as const;
const found = { kind: "found" } as const;
const notFound = { kind: "not-found" } as const;
const missed = { kind: "health-missed", wasStalled: false } as const;
const stalled = { kind: "health-missed", wasStalled: true } as const;
const answered = { kind: "health-answered" } as const;
const leave = { kind: "leave-asked" } as const;
const spawned = { kind: "spawned" } as const;
const ready = { kind: "probed-ready" } as const;
const stop = { kind: "stop-asked" } as const;
const timer = { kind: "timer-fired", reason: "frps was not ready in time" } as const;
const exited = (reason: string) => ({ kind: "exited", reason }) as const;

test("8: a start looks for a living frps first, asks for one child if there is none, and its readiness is probed against a deadline", () => {
  expect(play(asked).effects).toEqual([{ kind: "find" }]);
  expect(play(asked, notFound).effects).toEqual([{ kind: "start" }]);
  expect(play(asked, notFound, spawned).effects).toEqual([{ kind: "probe" }, { kind: "set-timer", ms: 7000 }]);
  expect(play(asked, notFound, spawned, ready).state).toMatchObject({ state: "ready", child: "alive", starts: 1 });
});

test("a crash is followed by a restart after a wait, and its reason is kept", () => {
  const crashed = play(asked, notFound, spawned, ready, exited("killed by SIGKILL"));
  expect(crashed.state).toMatchObject({ state: "backing-off", lastExit: "killed by SIGKILL", failures: 1 });
  expect(crashed.effects).toEqual([{ kind: "set-timer", ms: 100 }]);
  expect(play(asked, notFound, spawned, ready, exited("x"), timer).effects).toEqual([{ kind: "find" }]);
  expect(play(asked, notFound, spawned, ready, exited("x"), timer, notFound).effects).toEqual([{ kind: "start" }]);
});

test("a crash is told from a stop: an exit that was asked for leaves no reason and no restart", () => {
  const stopped = play(asked, notFound, spawned, ready, stop, exited("ended by SIGTERM"));
  expect(stopped.state).toMatchObject({ state: "stopped", lastExit: undefined, child: "none" });
  expect(stopped.effects).toEqual([{ kind: "clear-timer" }]);
});

test("a stable run makes the next failure count as the first", () => {
  const flapped = play(asked, notFound, spawned, exited("a"), timer, notFound, spawned, exited("b"), timer, notFound, spawned, ready);
  expect(flapped.state.failures).toBe(2);
  const stable = play(
    asked,
    notFound,
    spawned,
    exited("a"),
    timer,
    notFound,
    spawned,
    exited("b"),
    timer,
    notFound,
    spawned,
    ready,
    timer,
    exited("c"),
  );
  expect(stable.state.failures).toBe(1);
  expect(stable.effects).toEqual([{ kind: "set-timer", ms: 100 }]);
});

test("a frps that is never ready is ended, killed if deaf, and started again; the deadline is the reason that is told", () => {
  const late = play(asked, notFound, spawned, timer);
  expect(late.state.state).toBe("draining");
  expect(late.effects).toEqual([{ kind: "terminate" }, { kind: "set-timer", ms: 3000 }]);
  expect(play(asked, notFound, spawned, timer, timer).effects).toEqual([
    { kind: "kill", reason: "frps did not end within 3000 ms of SIGTERM and was killed" },
  ]);
  expect(play(asked, notFound, spawned, timer, timer, exited("killed by SIGKILL")).state).toMatchObject({
    state: "backing-off",
    lastExit: "frps was not ready in time",
  });
});

test("a stop during a start ends the child that the start brings", () => {
  const stopping = play(asked, notFound, stop);
  expect(stopping.state.state).toBe("draining");
  expect(play(asked, notFound, stop, spawned).effects).toEqual([{ kind: "terminate" }, { kind: "set-timer", ms: 3000 }]);
  expect(play(asked, notFound, stop, { kind: "start-failed", reason: "no" }).state.state).toBe("stopped");
});

test("a stop while waiting ends the waiting", () => {
  const stopped = play(asked, notFound, spawned, exited("a"), stop);
  expect(stopped.state.state).toBe("stopped");
  expect(stopped.effects).toEqual([{ kind: "clear-timer" }]);
});

test("8: a frps that is found is taken over without a start, and its end is an end like any other", () => {
  expect(play(asked, found).effects).toEqual([{ kind: "probe" }, { kind: "set-timer", ms: 7000 }]);
  expect(play(asked, found, ready).state).toMatchObject({ state: "ready", child: "alive", isAdopted: true, starts: 1 });
  const crashed = play(asked, found, ready, exited("gone"));
  expect(crashed.state).toMatchObject({ state: "backing-off", isAdopted: false, lastExit: "gone" });
  expect(play(asked, found, ready, exited("gone"), timer, notFound).effects).toEqual([{ kind: "start" }]);
});

test("7: a frps that was found and is not ready in time is killed at once, and another is started", () => {
  const frozen = play(asked, found, timer);
  expect(frozen.effects).toEqual([{ kind: "kill", reason: "frps was not ready in time; it was killed" }, { kind: "clear-timer" }]);
  expect(play(asked, found, timer, exited("x"), timer, notFound).effects).toEqual([{ kind: "start" }]);
});

test("7: a ready frps that does not answer four times in a row is killed, and the reason says for how long", () => {
  expect(play(asked, notFound, spawned, ready).effects).toEqual([{ kind: "set-timer", ms: 10_000 }, { kind: "watch-health" }]);
  expect(play(asked, notFound, spawned, ready, missed, missed, missed).effects).toEqual([]);
  const frozen = play(asked, notFound, spawned, ready, missed, missed, missed, missed);
  expect(frozen.effects).toEqual([{ kind: "kill", reason: "frps did not answer for 8 s and was killed" }, { kind: "clear-timer" }]);
  expect(frozen.state).toMatchObject({ state: "draining", lastExit: "frps did not answer for 8 s and was killed" });
  const killed = play(asked, notFound, spawned, ready, missed, missed, missed, missed, exited("frps was ended by SIGKILL"));
  expect(killed.state).toMatchObject({ state: "backing-off", lastExit: "frps did not answer for 8 s and was killed" });
});

test("7: an answer, or a sleep of our own, makes the count of missed answers start anew", () => {
  for (const between of [answered, stalled]) {
    const { state } = play(asked, notFound, spawned, ready, missed, missed, missed, between, missed, missed, missed);
    expect(state).toMatchObject({ state: "ready", misses: 3 });
  }
  expect(play(asked, notFound, spawned, ready, stalled, stalled, stalled, stalled, stalled).state).toMatchObject({
    state: "ready",
    misses: 0,
  });
  expect(play(asked, notFound, spawned, missed, missed, missed, missed).state).toMatchObject({ state: "starting", misses: 0 });
});

test("7: to leave is to forget the child without a signal, whatever it is doing; the answer to an open question is left too", () => {
  const released = [{ kind: "release" }, { kind: "clear-timer" }];
  for (const events of [[found], [found, ready], [notFound, spawned], [notFound, spawned, ready], [notFound, spawned, timer]]) {
    expect(play(asked, ...events, leave)).toMatchObject({ state: { state: "stopped", child: "none" }, effects: released });
  }
  expect(play(asked, leave, found).effects).toEqual(released);
  expect(play(asked, notFound, leave, spawned)).toMatchObject({ state: { state: "stopped" }, effects: released });
  expect(play(asked, leave, notFound)).toMatchObject({ state: { state: "stopped" }, effects: [{ kind: "clear-timer" }] });
  expect(play(asked, notFound, leave, { kind: "start-failed", reason: "no" }).state.state).toBe("stopped");
  expect(play(asked, notFound, spawned, exited("x"), leave)).toMatchObject({
    state: { state: "stopped" },
    effects: [{ kind: "clear-timer" }],
  });
});

test("of stop and leave the first counts", () => {
  expect(play(asked, found, ready, leave, stop)).toMatchObject({ state: { state: "stopped" }, effects: [] });
  expect(play(asked, found, ready, stop, leave)).toMatchObject({ state: { state: "draining" }, effects: [] });
});
