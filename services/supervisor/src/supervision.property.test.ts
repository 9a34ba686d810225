/** Random sequences of events against a small model of the world: one child at most, one timer, quiet after a stop or a leave. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decideSupervision,
  deriveBackoffMs,
  initialSupervision,
  type Supervision,
  type SupervisionEvent,
  type SupervisionLimits,
} from "./supervision.ts";

const limits: SupervisionLimits = {
  readyTimeoutMs: 10_000,
  stopGraceMs: 3000,
  stableMs: 10_000,
  backoffMinMs: 100,
  backoffMaxMs: 5000,
  healthIntervalMs: 2000,
  healthMisses: 3,
};

/** Each move is tried; a move that the world cannot make now (an exit without a child) is skipped. */
const steps = [
  "answer-found",
  "answer-not-found",
  "answer-spawned",
  "answer-failed",
  "exit",
  "ready",
  "answered",
  "missed",
  "stalled",
  "timer",
  "start",
] as const;
const lively = fc.constantFrom(...steps);
const move = fc.constantFrom(...steps, "stop", "leave");

class World {
  machine: Supervision = initialSupervision;
  sought = 0;
  asked = 0;
  /** Living children that the machine has not forgotten; those that it has, live on. */
  children = 0;
  left = 0;
  isSignalled = false;
  signalsAfterLeave = 0;
  spawns = 0;
  timerMs: number | undefined;
  backoffs: number[] = [];
  startsAfterEnd = 0;
  private ending: "stop" | "leave" | undefined;

  send(event: SupervisionEvent): void {
    const [next, effects] = decideSupervision(this.machine, event, limits);
    this.machine = next;
    for (const effect of effects) {
      if (effect.kind === "find") {
        this.sought += 1;
        if (this.ending !== undefined) this.startsAfterEnd += 1;
      } else if (effect.kind === "start") {
        this.asked += 1;
        if (this.ending !== undefined) this.startsAfterEnd += 1;
      } else if (effect.kind === "release") {
        expect(this.children, "only a child can be left").toBe(1);
        this.children = 0;
        this.left += 1;
      } else if (effect.kind === "set-timer") {
        this.timerMs = effect.ms;
        if (next.state === "backing-off") this.backoffs.push(effect.ms);
      } else if (effect.kind === "clear-timer") this.timerMs = undefined;
      else if (effect.kind === "terminate" || effect.kind === "kill") {
        expect(this.children, "a signal needs a child").toBe(1);
        this.isSignalled = true;
        if (this.ending === "leave") this.signalsAfterLeave += 1;
      }
    }
    expect(this.sought + this.asked + this.children, "children alive, sought or being started").toBeLessThanOrEqual(1);
    const child = this.children === 1 ? "alive" : this.asked === 1 ? "asked" : this.sought === 1 ? "sought" : "none";
    expect({ child: next.child }).toEqual({ child });
    if (next.state === "ready") expect(next.child).toBe("alive");
    if (next.state === "backing-off" || next.state === "stopped") expect(next.child).toBe("none");
    if (next.state === "backing-off") expect(this.timerMs).toBeDefined();
    if (next.isAdopted) expect(next.child).toBe("alive");
    expect(next.misses).toBeLessThan(limits.healthMisses);
  }

  make(step: (typeof steps)[number] | "stop" | "leave"): void {
    if (step === "answer-found" && this.sought === 1) {
      this.sought = 0;
      this.takeChild();
      this.send({ kind: "found" });
    } else if (step === "answer-not-found" && this.sought === 1) {
      this.sought = 0;
      this.send({ kind: "not-found" });
    } else if (step === "answer-spawned" && this.asked === 1) {
      this.asked = 0;
      this.spawns += 1;
      this.takeChild();
      this.send({ kind: "spawned" });
    } else if (step === "answer-failed" && this.asked === 1) {
      this.asked = 0;
      this.send({ kind: "start-failed", reason: "no" });
    } else if (step === "exit" && this.children === 1) {
      this.children = 0;
      this.send({ kind: "exited", reason: "boom" });
    } else if (step === "ready") this.send({ kind: "probed-ready" });
    else if (step === "answered") this.send({ kind: "health-answered" });
    else if (step === "missed" || step === "stalled") this.send({ kind: "health-missed", wasStalled: step === "stalled" });
    else if (step === "timer" && this.timerMs !== undefined) {
      this.timerMs = undefined;
      this.send({ kind: "timer-fired", reason: "time" });
    } else if (step === "start" && this.ending === undefined) this.send({ kind: "start-asked" });
    else if (step === "stop" || step === "leave") {
      if (this.machine.wish === "run") this.ending = step;
      this.send({ kind: `${step}-asked` });
    }
  }

  private takeChild(): void {
    this.children = 1;
    this.isSignalled = false;
  }
}

test("8: under any sequence of events there is never more than one frps, and nothing is started after a stop or a leave", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) world.make(step);
      expect(world.startsAfterEnd).toBe(0);
      for (const ms of world.backoffs) {
        expect(ms).toBeGreaterThanOrEqual(100);
        expect(ms).toBeLessThanOrEqual(5000);
      }
    }),
    { numRuns: 2000 },
  );
});

test("after a stop everything comes to rest: the child is told to end, and the state is stopped with no timer left", () => {
  fc.assert(
    fc.property(fc.array(lively, { maxLength: 60 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) world.make(step);
      world.make("stop");
      // The world answers what is still open, in the only order it can.
      if (world.sought === 1) world.make("answer-found");
      if (world.asked === 1) world.make("answer-spawned");
      if (world.children === 1) {
        expect(world.isSignalled).toBe(true);
        world.make("timer");
        world.make("exit");
      }
      expect(world.machine.state).toBe("stopped");
      expect(world.timerMs).toBeUndefined();
      for (const step of ["ready", "timer", "stop"] as const) world.make(step);
      expect(world.machine.state).toBe("stopped");
    }),
    { numRuns: 2000 },
  );
});

test("7: after a leave everything comes to rest at once: no signal, no start, no timer; whatever lived lives on", () => {
  fc.assert(
    fc.property(fc.array(lively, { maxLength: 60 }), fc.array(move, { maxLength: 30 }), (before, after) => {
      const world = new World();
      world.make("start");
      for (const step of before) world.make(step);
      const { children, sought, asked } = world;
      world.make("leave");
      if (sought === 1) world.make("answer-found");
      if (asked === 1) world.make("answer-spawned");
      expect(world.machine.state).toBe("stopped");
      for (const step of after) world.make(step);
      expect(world).toMatchObject({ left: children + sought + asked, children: 0, signalsAfterLeave: 0, startsAfterEnd: 0 });
      expect(world.timerMs).toBeUndefined();
      expect(world.machine.state).toBe("stopped");
    }),
    { numRuns: 2000 },
  );
});

test("8: a frps that was found is never the cause of a spawn while it lives", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const world = new World();
      world.make("start");
      world.make("answer-found");
      for (const step of moves) {
        if (step === "exit") continue;
        world.make(step);
        expect(world.spawns + world.asked).toBe(0);
      }
    }),
    { numRuns: 1000 },
  );
});

test("while it is wanted and no child lives, a start is always under way or timed: it never gives up", () => {
  fc.assert(
    fc.property(fc.array(lively, { maxLength: 120 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) {
        world.make(step);
        expect(world.sought + world.asked + world.children === 1 || world.timerMs !== undefined).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});

test("the wait doubles from 100 ms to 5 s and never leaves these bounds", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8].map((failures) => deriveBackoffMs(failures, limits))).toEqual([
    100, 200, 400, 800, 1600, 3200, 5000, 5000,
  ]);
  fc.assert(
    fc.property(fc.nat(), (failures) => {
      const ms = deriveBackoffMs(failures, limits);
      expect(ms).toBeGreaterThanOrEqual(100);
      expect(ms).toBeLessThanOrEqual(5000);
      expect(deriveBackoffMs(failures + 1, limits)).toBeGreaterThanOrEqual(ms);
    }),
  );
});
