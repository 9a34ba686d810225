/**
 * The only spawn of frpc. Keeps one stock frpc running on one config file: verified before every start, recorded so that a
 * later agent can end it should this one be killed, restarted with a wait that grows from 100 ms to 5 s, ended by TERM and,
 * after the grace, KILL.
 *
 * Its environment is empty: frpc dials through `http_proxy` if that is set. It runs in the folder of its config, because a
 * config that is its own CA names itself by a relative path. It has a process group of its own: Ctrl-C in a terminal is
 * for its parent, which ends it in order.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "@keyhole/core";
import { endRecordedProcess, type FrpBinary, removeProcessRecord, verifyBinary, writeProcessRecord } from "@keyhole/frp";
import { execa } from "execa";
import { type FrpcEvent, parseFrpcLine } from "./frpc-event.ts";
import type { Log } from "./log.ts";

/** One stock frpc, kept running. */
export type Frpc = {
  /** The pid of the frpc that runs now. */
  readonly pid: number | undefined;
  /** Resolves when the tunnel is up (now, or the next time). Rejects with TUNNEL_NOT_UP and the reason when frpc ends before. */
  whenConnected(): Promise<void>;
  /** Ends frpc: TERM, KILL after the grace. Resolves when the process is gone; all callers share one promise. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** What it takes to run frpc. `recordPath` is a file of its own for each frpc. */
export type FrpcOptions = {
  readonly frpc: FrpBinary;
  readonly configPath: string;
  readonly recordPath: string;
  readonly stopGraceMs?: number;
  now(): Date;
  readonly log: Log;
  onEvent?(event: FrpcEvent): void;
};

const backoffMinMs = 100;
const backoffMaxMs = 5_000;
/** A run that lasted this long makes the next failure count as the first. */
const stableMs = 10_000;
const say = { component: "agent" };

/**
 * Starts frpc and keeps it running until `stop`. Resolves once it was started; `whenConnected` tells more. Throws when the
 * binary is not the recorded one, the config cannot be read, or the frpc of an earlier run cannot be ended.
 */
export async function startFrpc(options: FrpcOptions): Promise<Frpc> {
  const { frpc, recordPath, now, log } = options;
  const configPath = resolve(options.configPath);
  const stopGraceMs = options.stopGraceMs ?? 3_000;
  const stopped = new AbortController();
  const waiting = new Set<PromiseWithResolvers<void>>();
  let child: ReturnType<typeof spawnFrpc> | undefined;
  let isLoggedIn = false;
  let isUp = false;
  let trouble: string | undefined;

  const emit = (event: FrpcEvent): void => {
    try {
      options.onEvent?.(event);
    } catch (error) {
      log.error({ ...say, cause: String(error) }, "a listener of frpc's events failed");
    }
  };

  const hear = (text: string): void => {
    const { meaning, level, source, at, message } = parseFrpcLine(text);
    // What is left of a line that only resets a terminal's colour.
    if (message.trim() === "") return;
    const fields = { component: "frpc", source, ...(at === undefined ? {} : { at }) };
    log[level === "trace" ? "debug" : level](fields, message);
    // frpc does not say that it lost a connection, only that it tries again.
    const event: FrpcEvent =
      meaning.kind !== "trying"
        ? meaning
        : isLoggedIn
          ? { kind: "disconnected", reason: "the connection to the server was lost" }
          : { kind: "line", level, message };
    if (event.kind === "connected") isLoggedIn = true;
    else if (event.kind === "proxy-started") {
      isUp = true;
      for (const waiter of waiting) waiter.resolve();
      waiting.clear();
    } else if (event.kind === "refused" || event.kind === "disconnected") {
      isUp = false;
      if (event.kind === "disconnected" || event.stage === "login") isLoggedIn = false;
      trouble = event.reason;
    } else if (event.kind === "line" && at === undefined) trouble ??= message;
    emit(event);
  };

  /** Everything that must hold before a spawn; the frpc of an earlier run is touched last. Returns the config's hash. */
  const prepare = async (): Promise<string> => {
    await verifyBinary(frpc);
    const config = await readFile(configPath).catch((cause: unknown) => {
      throw new Fault("CONFIG_UNREADABLE", `frpc's config ${configPath} cannot be read`, { cause });
    });
    const end = await endRecordedProcess(recordPath, {
      graceMs: stopGraceMs,
      onEnding: (pid) => log.warn({ ...say, pid }, `frpc of an earlier run still lives (pid ${pid}): ending it`),
    });
    if (end?.kind === "not-ended") {
      throw new Fault("TUNNEL_NOT_UP", `frpc of an earlier run (pid ${end.pid}) cannot be ended: ${end.reason}. End it by hand`);
    }
    return createHash("sha256").update(config).digest("hex");
  };

  /** One run of frpc, from spawn to end; returns how it ended. */
  const run = async (configHash: string): Promise<string> => {
    isLoggedIn = false;
    isUp = false;
    trouble = undefined;
    const running = spawnFrpc(frpc.path, configPath, stopGraceMs);
    child = running;
    // No await between spawn and record: an agent that is killed leaves no frpc that the next one does not know.
    const { pid } = running;
    if (pid !== undefined) keepRecord(() => writeProcessRecord(recordPath, { pid, digest: frpc.sha256, configHash }));
    createInterface({ input: running.all, crlfDelay: Number.POSITIVE_INFINITY }).on("line", hear);
    const result = await running;
    child = undefined;
    isUp = false;
    keepRecord(() => removeProcessRecord(recordPath));
    if (pid === undefined) return `frpc could not be started: ${result.originalMessage ?? "no reason given"}`;
    const end = result.signal === undefined ? `exit code ${result.exitCode}` : `signal ${result.signal}`;
    return trouble === undefined ? `frpc ended (${end})` : `frpc ended (${end}): ${trouble}`;
  };

  const keepRecord = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      log.error({ ...say, cause: String(error) }, `the record ${recordPath} cannot be kept; frpc runs without it`);
    }
  };

  const rejectAll = (message: string): void => {
    for (const waiter of waiting) waiter.reject(new Fault("TUNNEL_NOT_UP", message));
    waiting.clear();
  };

  const keepRunning = async (firstHash: string): Promise<void> => {
    let hash: string | undefined = firstHash;
    let failures = 0;
    while (!stopped.signal.aborted) {
      const startedAt = now().getTime();
      let reason: string;
      try {
        hash ??= await prepare();
        if (stopped.signal.aborted) break;
        reason = await run(hash);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      hash = undefined;
      if (stopped.signal.aborted) {
        emit({ kind: "exited", reason });
        break;
      }
      failures = now().getTime() - startedAt >= stableMs ? 1 : failures + 1;
      const restartInMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** (failures - 1));
      log.warn({ ...say, failures, restartInMs }, reason);
      emit({ kind: "exited", reason, restartInMs });
      rejectAll(`the tunnel is not up: ${reason}`);
      await wait(restartInMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
    rejectAll("frpc was stopped before its tunnel was up");
  };

  const finished = keepRunning(await prepare());
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (() => {
      stopped.abort();
      child?.kill("SIGTERM");
      return finished;
    })();
    return stopping;
  };

  return {
    get pid() {
      return child?.pid;
    },
    whenConnected() {
      if (stopped.signal.aborted) return Promise.reject(new Fault("TUNNEL_NOT_UP", "frpc was stopped"));
      if (isUp) return Promise.resolve();
      const waiter = Promise.withResolvers<void>();
      waiting.add(waiter);
      return waiter.promise;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function spawnFrpc(path: string, configPath: string, stopGraceMs: number) {
  return execa(path, ["-c", basename(configPath)], {
    cwd: dirname(configPath),
    env: {},
    extendEnv: false,
    stdin: "ignore",
    all: true,
    buffer: false,
    reject: false,
    detached: true,
    forceKillAfterDelay: stopGraceMs,
  });
}
