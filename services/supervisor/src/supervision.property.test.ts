/** Random sequences of events against a small model of the world: one child at most, one timer, quiet after a stop. */
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

const limits: SupervisionLimits = { readyTimeoutMs: 10_000, stopGraceMs: 3000, stableMs: 10_000, backoffMinMs: 100, backoffMaxMs: 5000 };

/** Each move is tried; a move that the world cannot make now (an exit without a child) is skipped. */
const move = fc.constantFrom("answer-spawned", "answer-failed", "exit", "ready", "timer", "start", "stop") satisfies fc.Arbitrary<string>;

class World {
  machine: Supervision = initialSupervision;
  asked = 0;
  children = 0;
  termed = false;
  timerMs: number | undefined;
  backoffs: number[] = [];
  startsAfterStop = 0;
  private stopped = false;

  send(event: SupervisionEvent): void {
    const [next, effects] = decideSupervision(this.machine, event, limits);
    this.machine = next;
    for (const effect of effects) {
      if (effect.kind === "start") {
        this.asked += 1;
        if (this.stopped) this.startsAfterStop += 1;
      } else if (effect.kind === "set-timer") {
        this.timerMs = effect.ms;
        if (next.state === "backing-off") this.backoffs.push(effect.ms);
      } else if (effect.kind === "clear-timer") this.timerMs = undefined;
      else if (effect.kind === "terminate" || effect.kind === "kill") {
        expect(this.children, "a signal needs a child").toBe(1);
        this.termed = true;
      }
    }
    expect(this.asked + this.children, "children alive or being started").toBeLessThanOrEqual(1);
    expect({ child: next.child }).toEqual({ child: this.children === 1 ? "alive" : this.asked === 1 ? "asked" : "none" });
    if (next.state === "ready") expect(next.child).toBe("alive");
    if (next.state === "backing-off" || next.state === "stopped") expect(next.child).toBe("none");
    if (next.state === "backing-off") expect(this.timerMs).toBeDefined();
  }

  make(step: string): void {
    if (step === "answer-spawned" && this.asked === 1) {
      this.asked = 0;
      this.children = 1;
      this.termed = false;
      this.send({ kind: "spawned" });
    } else if (step === "answer-failed" && this.asked === 1) {
      this.asked = 0;
      this.send({ kind: "start-failed", reason: "no" });
    } else if (step === "exit" && this.children === 1) {
      this.children = 0;
      this.send({ kind: "exited", reason: "boom" });
    } else if (step === "ready") this.send({ kind: "probed-ready" });
    else if (step === "timer" && this.timerMs !== undefined) {
      this.timerMs = undefined;
      this.send({ kind: "timer-fired", reason: "time" });
    } else if (step === "start" && !this.stopped) this.send({ kind: "start-asked" });
    else if (step === "stop") {
      if (this.machine.isWanted) this.stopped = true;
      this.send({ kind: "stop-asked" });
    }
  }
}

test("8: under any sequence of events there is never more than one frps, and nothing is started after a stop", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) world.make(step);
      expect(world.startsAfterStop).toBe(0);
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
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) world.make(step);
      world.make("stop");
      // The world answers what is still open, in the only order it can.
      if (world.asked === 1) world.make("answer-spawned");
      if (world.children === 1) {
        expect(world.termed).toBe(true);
        world.make("timer");
        world.make("exit");
      }
      expect(world.machine.state).toBe("stopped");
      expect(world.timerMs).toBeUndefined();
      for (const step of ["ready", "timer", "stop"]) world.make(step);
      expect(world.machine.state).toBe("stopped");
    }),
    { numRuns: 2000 },
  );
});

test("while it is wanted and no child lives, a start is always under way or timed: it never gives up", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
      const world = new World();
      world.make("start");
      for (const step of moves) {
        if (step !== "stop") world.make(step);
        expect(world.asked + world.children === 1 || world.timerMs !== undefined).toBe(true);
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
