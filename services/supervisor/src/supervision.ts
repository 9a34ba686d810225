/**
 * When frps is taken over, started, ended and started again: the whole decision, as a pure reducer (state, event) → state
 * and effects. The rules it keeps (invariant 8, DESIGN.md §2): never two children at once, and so a start begins with the
 * search for a frps that lives already; nothing is started after a stop or a leave; a crash is told from a stop; the wait
 * before a restart grows from `backoffMinMs` to `backoffMaxMs` and starts over after a stable run.
 *
 * There is one timer, and each state knows what it means: starting = the deadline of readiness, ready = a run long enough
 * to be called stable, draining = the grace before KILL, backing-off = the wait. Setting it replaces it.
 */

/** What the supervisor is doing. Draining: a TERM or KILL was sent, and the process is not gone yet. */
export type SupervisorState = "stopped" | "starting" | "ready" | "draining" | "backing-off";

export type Supervision = {
  readonly state: SupervisorState;
  /** "sought", "asked": the effect `find` or `start` is out and not answered yet, so there may be a child at any moment. */
  readonly child: "none" | "sought" | "asked" | "alive";
  /** The child is the frps of an earlier supervisor. */
  readonly isAdopted: boolean;
  /** What is to become of frps. "end": its exit is the end, and not a crash. "leave": it goes on without us. */
  readonly wish: "run" | "end" | "leave";
  /** Runs in a row that did not last. */
  readonly failures: number;
  readonly starts: number;
  /** Checks of health in a row that frps did not answer. */
  readonly misses: number;
  /** Why the last run ended that nobody had asked to end. */
  readonly lastExit: string | undefined;
};

export type SupervisionEvent =
  | { readonly kind: "start-asked" }
  | { readonly kind: "found" }
  | { readonly kind: "not-found" }
  | { readonly kind: "spawned" }
  | { readonly kind: "start-failed"; readonly reason: string }
  | { readonly kind: "probed-ready" }
  | { readonly kind: "health-answered" }
  /** `wasStalled`: our own clock jumped meanwhile (we or the machine were asleep), so the miss says nothing about frps. */
  | { readonly kind: "health-missed"; readonly wasStalled: boolean }
  | { readonly kind: "exited"; readonly reason: string }
  | { readonly kind: "timer-fired"; readonly reason: string }
  | { readonly kind: "stop-asked" }
  | { readonly kind: "leave-asked" };

export type SupervisionEffect =
  | { readonly kind: "find" }
  | { readonly kind: "start" }
  | { readonly kind: "probe" }
  /** To be done until the state changes. */
  | { readonly kind: "watch-health" }
  | { readonly kind: "terminate" }
  | { readonly kind: "kill"; readonly reason: string }
  /** Forget the child without a signal; it lives on. */
  | { readonly kind: "release" }
  | { readonly kind: "set-timer"; readonly ms: number }
  | { readonly kind: "clear-timer" };

export type SupervisionLimits = {
  readonly readyTimeoutMs: number;
  readonly stopGraceMs: number;
  /** A run that was ready for this long makes the next failure count as the first. */
  readonly stableMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly healthIntervalMs: number;
  /** So many checks in a row without an answer, and frps is taken for frozen. */
  readonly healthMisses: number;
};

type Step = readonly [Supervision, readonly SupervisionEffect[]];

/** Nothing runs, nothing was asked. */
export const initialSupervision: Supervision = {
  state: "stopped",
  child: "none",
  isAdopted: false,
  wish: "end",
  failures: 0,
  starts: 0,
  misses: 0,
  lastExit: undefined,
};

/** How long to wait after the given number of failures in a row (the first is 1). */
export function deriveBackoffMs(failures: number, limits: Pick<SupervisionLimits, "backoffMinMs" | "backoffMaxMs">): number {
  return Math.min(limits.backoffMaxMs, limits.backoffMinMs * 2 ** Math.max(0, failures - 1));
}

/** Decides. An event that does not fit the state (a late timer, a probe of the run before) changes nothing. */
export function decideSupervision(now: Supervision, event: SupervisionEvent, limits: SupervisionLimits): Step {
  switch (event.kind) {
    case "start-asked":
      return now.state === "stopped" ? startAgain({ ...now, wish: "run" }) : [now, []];
    case "found":
      return now.child === "sought" ? takeChild({ ...now, isAdopted: true }, limits) : [now, []];
    case "not-found":
      return now.child === "sought" ? spawnChild(now) : [now, []];
    case "spawned":
      return now.child === "asked" ? takeChild(now, limits) : [now, []];
    case "start-failed":
      return now.child === "asked" ? loseChild(now, event.reason, limits) : [now, []];
    case "exited":
      return now.child === "alive" ? loseChild(now, event.reason, limits) : [now, []];
    case "probed-ready":
      return now.state === "starting" && now.child === "alive"
        ? [{ ...now, state: "ready", misses: 0 }, [{ kind: "set-timer", ms: limits.stableMs }, { kind: "watch-health" }]]
        : [now, []];
    case "health-answered":
      return [{ ...now, misses: 0 }, []];
    case "health-missed":
      return now.state === "ready" ? missHealth(now, event.wasStalled, limits) : [now, []];
    case "timer-fired":
      return hearTimer(now, event.reason, limits);
    case "stop-asked":
      return endForGood(now, limits);
    case "leave-asked":
      return leaveChild(now);
  }
}

function startAgain(now: Supervision): Step {
  return [{ ...now, state: "starting", child: "sought", starts: now.starts + 1 }, [{ kind: "find" }]];
}

function spawnChild(now: Supervision): Step {
  if (now.wish === "run") return [{ ...now, child: "asked" }, [{ kind: "start" }]];
  return [{ ...now, state: "stopped", child: "none" }, [{ kind: "clear-timer" }]];
}

function takeChild(now: Supervision, limits: SupervisionLimits): Step {
  const alive: Supervision = { ...now, child: "alive" };
  switch (now.wish) {
    case "run":
      return [alive, [{ kind: "probe" }, { kind: "set-timer", ms: limits.readyTimeoutMs }]];
    case "end":
      // The stop came while the start was under way.
      return [alive, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
    case "leave":
      return release(alive);
  }
}

function loseChild(now: Supervision, reason: string, limits: SupervisionLimits): Step {
  const gone: Supervision = { ...now, child: "none", isAdopted: false };
  if (now.wish !== "run") return [{ ...gone, state: "stopped" }, [{ kind: "clear-timer" }]];
  const failures = now.failures + 1;
  // Draining and still wanted: we ended it ourselves because it did not serve, and that is the reason worth telling.
  const lastExit = now.state === "draining" ? now.lastExit : reason;
  return [{ ...gone, state: "backing-off", failures, lastExit }, [{ kind: "set-timer", ms: deriveBackoffMs(failures, limits) }]];
}

function missHealth(now: Supervision, wasStalled: boolean, limits: SupervisionLimits): Step {
  // Who slept cannot say what frps did meanwhile: counting begins anew.
  const misses = wasStalled ? 0 : now.misses + 1;
  if (misses < limits.healthMisses) return [{ ...now, misses }, []];
  return killAtOnce({ ...now, misses: 0 }, `frps did not answer for ${(misses * limits.healthIntervalMs) / 1000} s and was killed`);
}

/** Without a TERM: frozen as it is, it would not hear it. */
function killAtOnce(now: Supervision, reason: string): Step {
  return [{ ...now, state: "draining", lastExit: reason }, [{ kind: "kill", reason }, { kind: "clear-timer" }]];
}

function hearTimer(now: Supervision, reason: string, limits: SupervisionLimits): Step {
  switch (now.state) {
    case "starting":
      if (now.child !== "alive") return [now, []];
      // It served an earlier supervisor and has had all the time to be ready: it hangs.
      if (now.isAdopted) return killAtOnce(now, `${reason}; it was killed`);
      return [{ ...now, state: "draining", lastExit: reason }, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
    case "ready":
      return [{ ...now, failures: 0 }, []];
    case "draining":
      return now.child === "alive"
        ? [now, [{ kind: "kill", reason: `frps did not end within ${limits.stopGraceMs} ms of SIGTERM and was killed` }]]
        : [now, []];
    case "backing-off":
      return startAgain(now);
    case "stopped":
      return [now, []];
  }
}

function endForGood(now: Supervision, limits: SupervisionLimits): Step {
  if (now.wish !== "run") return [now, []];
  const unwanted: Supervision = { ...now, wish: "end" };
  if (now.state === "draining") return [unwanted, []];
  if (now.child === "none") return [{ ...unwanted, state: "stopped" }, [{ kind: "clear-timer" }]];
  if (now.child !== "alive") return [{ ...unwanted, state: "draining" }, [{ kind: "clear-timer" }]];
  return [{ ...unwanted, state: "draining" }, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
}

function leaveChild(now: Supervision): Step {
  if (now.wish !== "run") return [now, []];
  const unwatched: Supervision = { ...now, wish: "leave" };
  if (now.child === "alive") return release(unwatched);
  if (now.child === "none") return [{ ...unwatched, state: "stopped" }, [{ kind: "clear-timer" }]];
  // A search or a start is under way: its answer decides what is left behind.
  return [unwatched, []];
}

function release(now: Supervision): Step {
  return [{ ...now, state: "stopped", child: "none", isAdopted: false }, [{ kind: "release" }, { kind: "clear-timer" }]];
}
