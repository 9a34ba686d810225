/**
 * Everything that must hold before frps is spawned, in this order: the binary is the recorded one, the config is accepted,
 * the frps of an earlier run is gone, the ports are free. What runs is touched only when its successor is acceptable
 * (invariant 8). Right after the spawn the child is recorded, so that a later supervisor can end it.
 */
import { endRecordedProcess, type FrpBinary, removeProcessRecord, verifyBinary, writeProcessRecord } from "@keyhole/frp";
import { describeBusyPort, findBusyPort, type NeededPort, parseBusyPort } from "./busy-port.ts";
import { SupervisorFault } from "./fault.ts";
import type { FrpsConfigFile } from "./frps-config-file.ts";
import type { FrpsLog } from "./frps-log.ts";
import { describeEnd, type FrpsEnd, type FrpsProcess, spawnFrps } from "./frps-process.ts";
import type { Log } from "./log.ts";

/** A frps that was spawned. */
export type LaunchedFrps = FrpsProcess & { readonly pid: number };

/** Starts frps, once a call, and keeps the record of it. */
export type FrpsLauncher = {
  /** Throws when frps must not or cannot be started; `isWanted` is asked right before the spawn. */
  launch(isWanted: () => boolean): Promise<LaunchedFrps>;
  /** To be called when the process is gone: its record is removed, and its end put in words, with its own last ones. */
  bury(end: FrpsEnd): Promise<string>;
  /** The reason, with what the present run said that explains it. */
  explain(reason: string): string;
};

const say = { component: "supervisor" };

/** Makes the launcher; nothing runs until `launch`. */
export function createFrpsLauncher(options: {
  frps: FrpBinary;
  configFile: FrpsConfigFile;
  output: FrpsLog;
  ports: readonly NeededPort[];
  stateDir: string;
  logPath: string;
  recordPath: string;
  stopGraceMs: number;
  log: Log;
}): FrpsLauncher {
  const { frps, configFile, output, ports, stateDir, logPath, recordPath, stopGraceMs, log } = options;

  const endEarlierFrps = async (): Promise<void> => {
    const end = await endRecordedProcess(recordPath, {
      graceMs: stopGraceMs,
      onEnding: (pid) => log.warn({ ...say, pid }, `frps of an earlier run still lives (pid ${pid}): ending it`),
    });
    if (end?.kind !== "not-ended") return;
    const sentence = `frps of an earlier run (pid ${end.pid}) cannot be ended: ${end.reason}. End it by hand, then start again`;
    throw new SupervisorFault("FRPS_RECORDED_NOT_ENDED", sentence);
  };

  const record = (pid: number): void => {
    try {
      writeProcessRecord(recordPath, { pid, digest: frps.sha256, configHash: configFile.hash });
    } catch (error) {
      // Serving goes before the record: without it, only a supervisor killed after this would leave a frps behind.
      log.error({ ...say, cause: String(error) }, `the record ${recordPath} cannot be written; frps runs without it`);
    }
  };

  const forget = (): void => {
    try {
      removeProcessRecord(recordPath);
    } catch (error) {
      // A record of a process that is gone matches nobody: harmless.
      log.debug({ ...say, cause: String(error) }, "the record of the ended frps cannot be removed");
    }
  };

  const explain = (reason: string): string => {
    const words = output.lastWords(3);
    for (const line of words) {
      const busy = parseBusyPort(line, ports);
      if (busy !== undefined) return describeBusyPort(busy);
    }
    return words.length === 0 ? reason : `${reason}; it said: ${words.join(" | ")}`;
  };

  return {
    async launch(isWanted) {
      await verifyBinary(frps);
      await configFile.place();
      await endEarlierFrps();
      const busy = await findBusyPort(ports);
      if (busy !== undefined) throw new SupervisorFault("FRPS_PORT_BUSY", describeBusyPort(busy));
      await output.beginRun();
      if (!isWanted()) throw new SupervisorFault("FRPS_STOPPED", "stopped before frps was started");
      const child = spawnFrps({ frpsPath: frps.path, configPath: configFile.path, logPath, stateDir });
      const { pid } = child;
      if (pid === undefined) throw new SupervisorFault("FRPS_START_FAILED", describeEnd(await child.ended));
      // No await between spawn and record: a supervisor that is killed leaves no frps that the next one does not know.
      record(pid);
      return { ...child, pid };
    },
    async bury(end) {
      await output.drain();
      forget();
      // Who was killed had no last words; the latest warning would only mislead.
      return end.signal === null ? explain(describeEnd(end)) : describeEnd(end);
    },
    explain,
  };
}
