/**
 * Performs what `supervision.ts` decides: exactly one frps, kept alive until the stop. Who holds the state directory's lock
 * is the only supervisor on it.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createDashboard, deriveFrpsConfig, type FrpBinary, type FrpsSettings, renderFrpsConfig } from "@keyhole/frp";
import { isTransient, SupervisorFault } from "./fault.ts";
import { createFrpsConfigFile } from "./frps-config-file.ts";
import { createFrpsLauncher, type LaunchedFrps } from "./frps-launch.ts";
import { openFrpsLog } from "./frps-log.ts";
import type { Log } from "./log.ts";
import { awaitReadiness } from "./readiness.ts";
import {
  decideSupervision,
  initialSupervision,
  type SupervisionEffect,
  type SupervisionEvent,
  type SupervisionLimits,
  type SupervisorState,
} from "./supervision.ts";

/** How frps is. `restarts` counts starts after the first; `lastExit` says why the last run ended that nobody had ended. */
export type SupervisorStatus = {
  readonly state: SupervisorState;
  readonly pid: number | undefined;
  readonly since: Date;
  readonly restarts: number;
  readonly lastExit: string | undefined;
};

/** The one owner of the frps process. */
export type Supervisor = {
  status(): SupervisorStatus;
  /** Calls the listener after every change of state, until the returned function is called. */
  onState(listener: (status: SupervisorStatus) => void): () => void;
  /** Resolves when frps is ready (now, or the next time). Rejects with FRPS_STOPPED when it is stopped before. */
  whenReady(): Promise<void>;
  /** Ends frps: TERM, KILL after the grace. Resolves when the process is gone; all callers share one promise. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** What a supervisor is made of. Both times have defaults: 10 s until ready, 3 s from TERM to KILL. */
export type SupervisorOptions = {
  readonly frps: FrpBinary;
  readonly settings: FrpsSettings;
  readonly stateDir: string;
  readonly readyTimeoutMs?: number;
  readonly stopGraceMs?: number;
  now(): Date;
  readonly log: Log;
};

/**
 * Starts frps and keeps it running until `stop`, however often it ends. Resolves once the first start is under way
 * (`whenReady` tells more). Throws, and leaves whatever runs alone, when the binary or the config is not acceptable, when
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
  };
  const logPath = join(stateDir, "frps.log");
  const dashboard = createDashboard({
    port: settings.dashboardPort,
    user: settings.dashboardUser,
    password: settings.dashboardPassword,
    timeoutMs: 1_000,
  });
  const text = renderFrpsConfig(deriveFrpsConfig(settings));

  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const output = await openFrpsLog({ path: logPath, log });
  const launcher = createFrpsLauncher({
    frps,
    configFile: createFrpsConfigFile({ path: join(stateDir, "frps.toml"), frpsPath: frps.path, text }),
    output,
    ports: [
      { name: "frps bindPort", port: settings.bindPort },
      { name: "frps vhostHttpPort", port: settings.vhostHttpPort },
      { name: "frps dashboardPort", port: settings.dashboardPort },
    ],
    stateDir,
    logPath,
    recordPath: join(stateDir, "frps.json"),
    stopGraceMs: limits.stopGraceMs,
    log,
  });

  let machine = initialSupervision;
  let since = now();
  let child: LaunchedFrps | undefined;
  let timer: NodeJS.Timeout | undefined;
  let missing = "";
  let probing = new AbortController();
  const listeners = new Set<(status: SupervisorStatus) => void>();
  const firstStart = Promise.withResolvers<void>();
  const say = { component: "supervisor" };

  const status = (): SupervisorStatus => ({
    state: machine.state,
    pid: child?.pid,
    since,
    restarts: Math.max(0, machine.starts - 1),
    lastExit: machine.lastExit,
  });

  const dispatch = (event: SupervisionEvent): void => {
    const before = machine;
    const [after, effects] = decideSupervision(before, event, limits);
    machine = after;
    if (after.state !== "starting") probing.abort();
    if (after.state !== before.state) since = now();
    for (const effect of effects) perform(effect);
    if (after.state !== before.state) announce();
  };

  const announce = (): void => {
    const { state, pid, restarts, lastExit } = status();
    if (state === "backing-off") log.warn({ ...say, restarts }, `frps is down and will be started again: ${lastExit}`);
    else log.info({ ...say, state, pid, restarts }, `frps is ${state}`);
    for (const listener of [...listeners]) {
      try {
        listener(status());
      } catch (error) {
        log.error({ ...say, cause: String(error) }, "a listener of the supervisor's state failed");
      }
    }
  };

  const perform = (effect: SupervisionEffect): void => {
    switch (effect.kind) {
      case "start":
        void start();
        break;
      case "probe":
        void probe();
        break;
      case "terminate":
        child?.signal("SIGTERM");
        break;
      case "kill":
        log.warn({ ...say, pid: child?.pid }, `frps did not end within ${limits.stopGraceMs} ms of SIGTERM: killing it`);
        child?.signal("SIGKILL");
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

  const start = async (): Promise<void> => {
    let launched: LaunchedFrps;
    try {
      launched = await launcher.launch(() => machine.isWanted);
    } catch (error) {
      if (machine.starts === 1 && !isTransient(error)) {
        // Nothing that time would mend: the caller is told instead, and nothing is left behind.
        dispatch({ kind: "stop-asked" });
        firstStart.reject(error);
      }
      firstStart.resolve();
      return dispatch({ kind: "start-failed", reason: error instanceof Error ? error.message : String(error) });
    }
    child = launched;
    dispatch({ kind: "spawned" });
    firstStart.resolve();
    const end = await launched.ended;
    probing.abort();
    const reason = await launcher.bury(end);
    child = undefined;
    dispatch({ kind: "exited", reason });
  };

  const probe = async (): Promise<void> => {
    probing = new AbortController();
    const { signal } = probing;
    const isReady = await awaitReadiness({
      isHealthy: () => dashboard.isHealthy(),
      vhostHttpPort: settings.vhostHttpPort,
      dashboardPort: settings.dashboardPort,
      signal,
      onMissing: (what) => {
        missing = what;
      },
    });
    if (isReady && !signal.aborted) dispatch({ kind: "probed-ready" });
  };

  /** Resolves when the fact holds: now, or after a change of state. */
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (holds()) return resolve();
      const listener = (): void => {
        if (!holds()) return;
        listeners.delete(listener);
        resolve();
      };
      listeners.add(listener);
    });

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      dispatch({ kind: "stop-asked" });
      await until(() => machine.state === "stopped");
      await output[Symbol.asyncDispose]();
    })();
    return stopping;
  };

  dispatch({ kind: "start-asked" });
  try {
    await firstStart.promise;
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    status,
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async whenReady() {
      await until(() => machine.state === "ready" || !machine.isWanted);
      if (machine.state !== "ready") throw new SupervisorFault("FRPS_STOPPED", "frps was stopped before it was ready");
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
