import { expect, test } from "vitest";
import {
  decideSupervision,
  initialSupervision,
  type Supervision,
  type SupervisionEffect,
  type SupervisionEvent,
  type SupervisionLimits,
} from "./supervision.ts";

const limits: SupervisionLimits = { readyTimeoutMs: 7000, stopGraceMs: 3000, stableMs: 10_000, backoffMinMs: 100, backoffMaxMs: 5000 };

function play(...events: SupervisionEvent[]): { state: Supervision; effects: readonly SupervisionEffect[] } {
  let state = initialSupervision;
  let effects: readonly SupervisionEffect[] = [];
  for (const event of events) [state, effects] = decideSupervision(state, event, limits);
  return { state, effects };
}

const start = { kind: "start-asked" } as const;
const spawned = { kind: "spawned" } as const;
const ready = { kind: "probed-ready" } as const;
const stop = { kind: "stop-asked" } as const;
const timer = { kind: "timer-fired", reason: "frps was not ready in time" } as const;
const exited = (reason: string) => ({ kind: "exited", reason }) as const;

test("a start asks for one child, and its readiness is probed against a deadline", () => {
  expect(play(start).effects).toEqual([{ kind: "start" }]);
  expect(play(start, spawned).effects).toEqual([{ kind: "probe" }, { kind: "set-timer", ms: 7000 }]);
  expect(play(start, spawned, ready).state).toMatchObject({ state: "ready", child: "alive", starts: 1 });
});

test("a crash is followed by a restart after a wait, and its reason is kept", () => {
  const crashed = play(start, spawned, ready, exited("killed by SIGKILL"));
  expect(crashed.state).toMatchObject({ state: "backing-off", lastExit: "killed by SIGKILL", failures: 1 });
  expect(crashed.effects).toEqual([{ kind: "set-timer", ms: 100 }]);
  expect(play(start, spawned, ready, exited("x"), timer).effects).toEqual([{ kind: "start" }]);
});

test("a crash is told from a stop: an exit that was asked for leaves no reason and no restart", () => {
  const stopped = play(start, spawned, ready, stop, exited("ended by SIGTERM"));
  expect(stopped.state).toMatchObject({ state: "stopped", lastExit: undefined, child: "none" });
  expect(stopped.effects).toEqual([{ kind: "clear-timer" }]);
});

test("a stable run makes the next failure count as the first", () => {
  const flapped = play(start, spawned, exited("a"), timer, spawned, exited("b"), timer, spawned, ready);
  expect(flapped.state.failures).toBe(2);
  const stable = play(start, spawned, exited("a"), timer, spawned, exited("b"), timer, spawned, ready, timer, exited("c"));
  expect(stable.state.failures).toBe(1);
  expect(stable.effects).toEqual([{ kind: "set-timer", ms: 100 }]);
});

test("a frps that is never ready is ended, killed if deaf, and started again; the deadline is the reason that is told", () => {
  const late = play(start, spawned, timer);
  expect(late.state.state).toBe("draining");
  expect(late.effects).toEqual([{ kind: "terminate" }, { kind: "set-timer", ms: 3000 }]);
  expect(play(start, spawned, timer, timer).effects).toEqual([{ kind: "kill" }]);
  expect(play(start, spawned, timer, timer, exited("killed by SIGKILL")).state).toMatchObject({
    state: "backing-off",
    lastExit: "frps was not ready in time",
  });
});

test("a stop during a start ends the child that the start brings", () => {
  const stopping = play(start, stop);
  expect(stopping.state.state).toBe("draining");
  expect(play(start, stop, spawned).effects).toEqual([{ kind: "terminate" }, { kind: "set-timer", ms: 3000 }]);
  expect(play(start, stop, { kind: "start-failed", reason: "no" }).state.state).toBe("stopped");
});

test("a stop while waiting ends the waiting", () => {
  const stopped = play(start, spawned, exited("a"), stop);
  expect(stopped.state.state).toBe("stopped");
  expect(stopped.effects).toEqual([{ kind: "clear-timer" }]);
});
