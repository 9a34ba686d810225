/**
 * When frps is started, ended and started again: the whole decision, as a pure reducer (state, event) → state and effects.
 * The rules it keeps (invariant 8, DESIGN.md §2): never two children at once; nothing is started after a stop; a crash is
 * told from a stop; the wait before a restart grows from `backoffMinMs` to `backoffMaxMs` and starts over after a stable run.
 *
 * There is one timer, and each state knows what it means: starting = the deadline of readiness, ready = a run long enough
 * to be called stable, draining = the grace before KILL, backing-off = the wait. Setting it replaces it.
 */

/** What the supervisor is doing. Draining: a TERM was sent, and the process is not gone yet. */
export type SupervisorState = "stopped" | "starting" | "ready" | "draining" | "backing-off";

export type Supervision = {
  readonly state: SupervisorState;
  /** "asked": the effect `start` is out and not answered yet, so there may be a child at any moment. */
  readonly child: "none" | "asked" | "alive";
  /** False from the stop on: then an exit is the end, and not a crash. */
  readonly isWanted: boolean;
  /** Runs in a row that did not last. */
  readonly failures: number;
  readonly starts: number;
  /** Why the last run ended that nobody had asked to end. */
  readonly lastExit: string | undefined;
};

export type SupervisionEvent =
  | { readonly kind: "start-asked" }
  | { readonly kind: "spawned" }
  | { readonly kind: "start-failed"; readonly reason: string }
  | { readonly kind: "probed-ready" }
  | { readonly kind: "exited"; readonly reason: string }
  | { readonly kind: "timer-fired"; readonly reason: string }
  | { readonly kind: "stop-asked" };

export type SupervisionEffect =
  | { readonly kind: "start" }
  | { readonly kind: "probe" }
  | { readonly kind: "terminate" }
  | { readonly kind: "kill" }
  | { readonly kind: "set-timer"; readonly ms: number }
  | { readonly kind: "clear-timer" };

export type SupervisionLimits = {
  readonly readyTimeoutMs: number;
  readonly stopGraceMs: number;
  /** A run that was ready for this long makes the next failure count as the first. */
  readonly stableMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
};

type Step = readonly [Supervision, readonly SupervisionEffect[]];

/** Nothing runs, nothing was asked. */
export const initialSupervision: Supervision = {
  state: "stopped",
  child: "none",
  isWanted: false,
  failures: 0,
  starts: 0,
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
      return now.state === "stopped" ? startAgain({ ...now, isWanted: true }) : [now, []];
    case "spawned":
      return takeChild(now, limits);
    case "start-failed":
      return now.child === "asked" ? loseChild(now, event.reason, limits) : [now, []];
    case "exited":
      return now.child === "alive" ? loseChild(now, event.reason, limits) : [now, []];
    case "probed-ready":
      return now.state === "starting" && now.child === "alive"
        ? [{ ...now, state: "ready" }, [{ kind: "set-timer", ms: limits.stableMs }]]
        : [now, []];
    case "timer-fired":
      return hearTimer(now, event.reason, limits);
    case "stop-asked":
      return endForGood(now, limits);
  }
}

function startAgain(now: Supervision): Step {
  return [{ ...now, state: "starting", child: "asked", starts: now.starts + 1 }, [{ kind: "start" }]];
}

function takeChild(now: Supervision, limits: SupervisionLimits): Step {
  if (now.child !== "asked") return [now, []];
  const alive: Supervision = { ...now, child: "alive" };
  if (now.state === "starting") return [alive, [{ kind: "probe" }, { kind: "set-timer", ms: limits.readyTimeoutMs }]];
  // The stop came while the start was under way.
  return [alive, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
}

function loseChild(now: Supervision, reason: string, limits: SupervisionLimits): Step {
  const gone: Supervision = { ...now, child: "none" };
  if (!now.isWanted) return [{ ...gone, state: "stopped" }, [{ kind: "clear-timer" }]];
  const failures = now.failures + 1;
  // Draining and still wanted: we ended it ourselves because it was never ready, and that is the reason worth telling.
  const lastExit = now.state === "draining" ? now.lastExit : reason;
  return [{ ...gone, state: "backing-off", failures, lastExit }, [{ kind: "set-timer", ms: deriveBackoffMs(failures, limits) }]];
}

function hearTimer(now: Supervision, reason: string, limits: SupervisionLimits): Step {
  switch (now.state) {
    case "starting":
      if (now.child !== "alive") return [now, []];
      return [{ ...now, state: "draining", lastExit: reason }, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
    case "ready":
      return [{ ...now, failures: 0 }, []];
    case "draining":
      return now.child === "alive" ? [now, [{ kind: "kill" }]] : [now, []];
    case "backing-off":
      return startAgain(now);
    case "stopped":
      return [now, []];
  }
}

function endForGood(now: Supervision, limits: SupervisionLimits): Step {
  if (!now.isWanted) return [now, []];
  const unwanted: Supervision = { ...now, isWanted: false };
  if (now.state === "draining") return [unwanted, []];
  if (now.child === "none") return [{ ...unwanted, state: "stopped" }, [{ kind: "clear-timer" }]];
  if (now.child === "asked") return [{ ...unwanted, state: "draining" }, [{ kind: "clear-timer" }]];
  return [{ ...unwanted, state: "draining" }, [{ kind: "terminate" }, { kind: "set-timer", ms: limits.stopGraceMs }]];
}
