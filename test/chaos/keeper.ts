/**
 * Kills, and starts again what was killed, as systemd would after a moment. frps is the supervisor's own to start: of it the
 * keeper only tells when there is another one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../support/alive.ts";
import { type KeyholeParts, type Part, parts } from "../support/keyhole-parts.ts";
import { awaitInstant } from "./await-instant.ts";
import { now, type Tell } from "./history.ts";

export type Keeper = AsyncDisposable & {
  /** Sends KILL; false when there was nothing to kill. The part is started again after `restartMs`. */
  kill(part: Part, restartMs: number): boolean;
  killFrps(): boolean;
  /** Kills it, and leaves it so until it is released. */
  hold(part: Part): Promise<void>;
  release(part: Part): void;
  /** Every part serves. */
  isWhole(): boolean;
};

const lookMs = 50;
/** A part that cannot be started is tried again, as systemd's RestartSec. */
const againMs = 300;

/** Watches over running parts until it is disposed of; disposing ends nothing. */
export function startKeeper(keyhole: KeyholeParts, options: { readonly tell: Tell; readonly signal: AbortSignal }): Keeper {
  const { tell, signal } = options;
  const up = new Set<Part>(parts);
  const starts = new Map<Part, Promise<void>>();
  const held = new Set<Part>();
  /** Parts that we have killed ourselves since they were last started. Not their pids: the system gives those again. */
  const killed = new Set<Part>();
  let frpsPid = 0;
  let isOver = false;
  for (const part of parts) tell({ kind: "part-up", at: now(), part, pid: keyhole.pidOf(part) });

  const isEnding = (): boolean => isOver || signal.aborted;

  function restart(part: Part, restartMs: number): void {
    if (starts.has(part) || held.has(part)) return;
    const starting = (async () => {
      await awaitInstant(now() + restartMs, signal);
      while (!isEnding() && !held.has(part)) {
        killed.delete(part);
        tell({ kind: "part-starting", at: now(), part });
        try {
          await keyhole.start(part);
          if (killed.has(part)) continue;
          up.add(part);
          tell({ kind: "part-up", at: now(), part, pid: keyhole.pidOf(part) });
          return;
        } catch (error) {
          if (isEnding()) return;
          if (!killed.has(part)) tell({ kind: "part-died", at: now(), part, detail: `it does not start: ${String(error)}` });
          await awaitInstant(now() + againMs, signal);
        }
      }
    })();
    starts.set(part, starting);
    void starting.finally(() => starts.delete(part));
  }

  const readFrpsPid = (): number => {
    try {
      return (JSON.parse(readFileSync(join(keyhole.stateDir, "frps.json"), "utf8")) as { pid: number }).pid;
    } catch {
      return 0;
    }
  };
  const look = (): void => {
    if (isEnding()) return;
    const pid = readFrpsPid();
    if (pid > 0 && pid !== frpsPid && isAlive(pid)) {
      frpsPid = pid;
      tell({ kind: "frps-up", at: now(), pid });
    }
    for (const part of up) {
      if (isAlive(keyhole.pidOf(part)) || killed.has(part)) continue;
      up.delete(part);
      tell({ kind: "part-died", at: now(), part, detail: keyhole.logOf(part).slice(-1500) });
      restart(part, againMs);
    }
  };
  look();
  const timer = setInterval(look, lookMs);

  return {
    kill(part, restartMs) {
      const pid = keyhole.pidOf(part);
      if (isEnding() || held.has(part) || killed.has(part) || !isAlive(pid)) return false;
      killed.add(part);
      up.delete(part);
      tell({ kind: "part-killed", at: now(), part });
      process.kill(pid, "SIGKILL");
      restart(part, restartMs);
      return true;
    },
    killFrps() {
      const pid = readFrpsPid();
      if (isEnding() || pid === 0 || !isAlive(pid) || !isFrpsOf(pid, keyhole.stateDir)) return false;
      tell({ kind: "frps-killed", at: now(), pid });
      process.kill(pid, "SIGKILL");
      return true;
    },
    async hold(part) {
      held.add(part);
      await starts.get(part);
      const pid = keyhole.pidOf(part);
      if (isEnding() || !isAlive(pid)) return;
      killed.add(part);
      up.delete(part);
      tell({ kind: "part-killed", at: now(), part });
      await keyhole.end(part, "SIGKILL");
    },
    release(part) {
      held.delete(part);
      if (!up.has(part)) restart(part, 0);
    },
    isWhole: () => up.size === parts.length,
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearInterval(timer);
      await Promise.all([...starts.values()]);
    },
  };
}

/** Whether the process is a frps on the config of this state directory: a pid may have another owner meanwhile. */
function isFrpsOf(pid: number, stateDir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(stateDir);
  } catch {
    return false;
  }
}
