/**
 * Performs what `supervision.ts` decides: exactly one frps, taken over or started, kept alive until the stop or left alone.
 * Who holds the state directory's lock is the only supervisor on it.
 */
import type { FrpBinary, FrpsSettings } from "@keyhole/frp";
import { isTransient, SupervisorFault } from "./fault.ts";
import { type LaunchedFrps, openFrpsLauncher } from "./frps-launch.ts";
import { watchHealth } from "./health-watch.ts";
import type { Log } from "./log.ts";
import { probeHealth } from "./probe-health.ts";
import { awaitReadiness } from "./readiness.ts";
import { createStatusBoard, type SupervisorStatus } from "./status-board.ts";
import {
  decideSupervision,
  initialSupervision,
  type SupervisionEffect,
  type SupervisionEvent,
  type SupervisionLimits,
} from "./supervision.ts";

/** The one owner of the frps process. */
export type Supervisor = {
  status(): SupervisorStatus;
  /** Calls the listener after every change of state, until the returned function is called. */
  onState(listener: (status: SupervisorStatus) => void): () => void;
  /** Resolves when frps is ready (now, or the next time). Rejects with FRPS_STOPPED when it is stopped before. */
  whenReady(): Promise<void>;
  /** Ends frps: TERM, KILL after the grace. Resolves when the process is gone; all callers share one promise. */
  stop(): Promise<void>;
  /**
   * Ends the supervision and nothing else: frps goes on, its record stays, and the next supervisor takes it over. Resolves
   * when nothing of ours waits any more. Of `stop` and `leave` the first call counts: after a leave, a stop ends nothing.
   */
  leave(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * What a supervisor is made of. Times have defaults: 10 s until ready, 3 s from TERM to KILL; asked for its health every
 * 2 s, frps is killed and started again after 4 rounds in a row without an answer.
 */
export type SupervisorOptions = {
  readonly frps: FrpBinary;
  readonly settings: FrpsSettings;
  readonly stateDir: string;
  readonly readyTimeoutMs?: number;
  readonly stopGraceMs?: number;
  readonly healthIntervalMs?: number;
  readonly healthMisses?: number;
  now(): Date;
  readonly log: Log;
};

/**
 * Takes the frps of an earlier supervisor over if it is what would be started (same binary, same config; not even a blink),
 * else starts frps; and keeps it running until `stop` or `leave`, however often it ends. Resolves once the first start is
 * under way (`whenReady` tells more). Throws, and leaves whatever runs alone, when the binary or the config is not acceptable, when
 * the state directory cannot be written, or when the frps of an earlier run cannot be ended. A busy port is waited for:
 * `status().lastExit` and the log name it.
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { frps, settings, stateDir, now, log } = options;
  const limits: SupervisionLimits = {
    readyTimeoutMs: options.readyTimeoutMs ?? 10_000,
    stopGraceMs: options.stopGraceMs ?? 3_000,
    stableMs: 10_000,
    backoffMinMs: 100,
    backoffMaxMs: 5_000,
    healthIntervalMs: options.healthIntervalMs ?? 2_000,
    healthMisses: options.healthMisses ?? 4,
  };
  const launcher = await openFrpsLauncher({ frps, settings, stateDir, stopGraceMs: limits.stopGraceMs, now, log });

  let machine = initialSupervision;
  let since = now();
  let child: LaunchedFrps | undefined;
  let timer: NodeJS.Timeout | undefined;
  let missing = "";
  /** Aborted whenever the state changes, or the child is gone: what asks frps belongs to one state of one child. */
  let phase = new AbortController();
  const board = createStatusBoard(log);
  const firstStart = Promise.withResolvers<void>();
  const say = { component: "supervisor" };

  const status = (): SupervisorStatus => ({
    state: machine.state,
    pid: child?.pid,
    since,
    restarts: Math.max(0, machine.starts - 1),
    lastExit: machine.lastExit,
    adopted: machine.isAdopted,
    replaced: launcher.replaced(),
    misses: machine.misses,
  });

  const dispatch = (event: SupervisionEvent): void => {
    const before = machine;
    const [after, effects] = decideSupervision(before, event, limits);
    machine = after;
    if (after.state !== before.state) {
      since = now();
      phase.abort();
      phase = new AbortController();
    }
    for (const effect of effects) perform(effect);
    if (after.state !== before.state) announce();
  };

  const announce = (): void => {
    const { state, pid, restarts, lastExit, adopted } = status();
    if (state === "backing-off") log.warn({ ...say, restarts }, `frps is down and will be started again: ${lastExit}`);
    else log.info({ ...say, state, pid, restarts, adopted }, machine.wish === "leave" ? "frps is left alone" : `frps is ${state}`);
    board.announce(status());
  };

  const perform = (effect: SupervisionEffect): void => {
    switch (effect.kind) {
      case "find":
        void find();
        break;
      case "start":
        void start();
        break;
      case "probe":
        void probe();
        break;
      case "watch-health":
        void watch();
        break;
      case "terminate":
        signalChild("SIGTERM");
        break;
      case "kill":
        log.warn({ ...say, pid: child?.pid }, effect.reason);
        signalChild("SIGKILL");
        break;
      case "release":
        child?.release();
        child = undefined;
        break;
      case "clear-timer":
        clearTimeout(timer);
        break;
      case "set-timer":
        clearTimeout(timer);
        timer = setTimeout(() => {
          // The reason is heard by the deadline of readiness only.
          const reason = launcher.explain(`frps was not ready within ${limits.readyTimeoutMs} ms: ${missing}`);
          dispatch({ kind: "timer-fired", reason });
        }, effect.ms);
        break;
    }
  };

  const signalChild = (name: "SIGTERM" | "SIGKILL"): void => {
    try {
      child?.signal(name);
    } catch (error) {
      log.error({ ...say, pid: child?.pid, cause: String(error) }, `frps cannot be sent ${name}: end it by hand`);
    }
  };

  const find = async (): Promise<void> => {
    const found = await launcher.find();
    if (found === undefined) return dispatch({ kind: "not-found" });
    log.info({ ...say, pid: found.pid }, `frps of an earlier run (pid ${found.pid}) is what would be started: it is taken over`);
    await keep(found, "found");
  };

  const start = async (): Promise<void> => {
    let launched: LaunchedFrps;
    try {
      launched = await launcher.launch(() => machine.wish === "run");
    } catch (error) {
      if (machine.starts === 1 && !isTransient(error)) {
        // Nothing that time would mend: the caller is told instead, and nothing is left behind.
        dispatch({ kind: "stop-asked" });
        firstStart.reject(error);
      }
      firstStart.resolve();
      return dispatch({ kind: "start-failed", reason: error instanceof Error ? error.message : String(error) });
    }
    await keep(launched, "spawned");
  };

  /** From the moment that frps is ours until it is gone, or left. */
  const keep = async (frps: LaunchedFrps, kind: "found" | "spawned"): Promise<void> => {
    child = frps;
    dispatch({ kind });
    firstStart.resolve();
    const end = await frps.ended;
    if (child !== frps) return;
    phase.abort();
    const reason = await launcher.bury(frps.pid, end);
    child = undefined;
    dispatch({ kind: "exited", reason });
  };

  const probe = async (): Promise<void> => {
    const { signal } = phase;
    missing = "it has not answered anything yet";
    const isReady = await awaitReadiness({
      vhostHttpPort: settings.vhostHttpPort,
      dashboardPort: settings.dashboardPort,
      signal,
      onMissing: (what) => {
        missing = what;
      },
    });
    if (isReady && !signal.aborted) dispatch({ kind: "probed-ready" });
  };

  const watch = (): Promise<void> =>
    watchHealth({
      intervalMs: limits.healthIntervalMs,
      signal: phase.signal,
      probe: (signal) => probeHealth(settings.dashboardPort, signal),
      now,
      onRound: ({ isAnswered, wasStalled }) => dispatch(isAnswered ? { kind: "health-answered" } : { kind: "health-missed", wasStalled }),
    });

  let closing: Promise<void> | undefined;
  const close = (kind: "stop-asked" | "leave-asked"): Promise<void> => {
    closing ??= (async () => {
      dispatch({ kind });
      await board.until(() => machine.state === "stopped");
      await launcher[Symbol.asyncDispose]();
    })();
    return closing;
  };
  const stop = (): Promise<void> => close("stop-asked");
  dispatch({ kind: "start-asked" });
  try {
    await firstStart.promise;
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    status,
    onState: board.onState,
    async whenReady() {
      await board.until(() => machine.state === "ready" || machine.wish !== "run");
      if (machine.state !== "ready") throw new SupervisorFault("FRPS_STOPPED", "the supervision of frps ended before it was ready");
    },
    stop,
    leave: () => close("leave-asked"),
    [Symbol.asyncDispose]: stop,
  };
}
