/**
 * Everything that must hold before frps is spawned, in this order: none of an earlier supervisor can be taken over, the
 * binary is the recorded one, the config is accepted, the frps that differs is gone, the ports are free. What runs is
 * touched only when its successor is acceptable (invariant 8). Right after the spawn the child is recorded, so that a later
 * supervisor can take it over.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  deriveFrpsConfig,
  type FrpBinary,
  type FrpsSettings,
  isRecordedAlive,
  type ProcessRecord,
  readProcessRecord,
  removeProcessRecord,
  renderFrpsConfig,
  verifyBinary,
  writeProcessRecord,
} from "@keyhole/frp";
import { describeBusyPort, findBusyPort, parseBusyPort } from "./busy-port.ts";
import { endRecordedFrps, recordPathOf } from "./end-frps.ts";
import { SupervisorFault } from "./fault.ts";
import { adoptFrps } from "./frps-adoption.ts";
import { createFrpsConfigFile } from "./frps-config-file.ts";
import { openFrpsLog } from "./frps-log.ts";
import { describeEnd, type FrpsEnd, type FrpsProcess, spawnFrps } from "./frps-process.ts";
import type { Log } from "./log.ts";

/** A frps that was spawned or taken over. */
export type LaunchedFrps = FrpsProcess & { readonly pid: number };

/** Starts frps, once a call, and keeps the record of it. */
export type FrpsLauncher = {
  /** The living frps of an earlier supervisor, if it is what `launch` would start. Nothing happens to it. */
  find(): Promise<LaunchedFrps | undefined>;
  /** Throws when frps must not or cannot be started; `isWanted` is asked right before the spawn. */
  launch(isWanted: () => boolean): Promise<LaunchedFrps>;
  /** To be called when the process is gone: its record is removed, and its end put in words, with its own last ones. */
  bury(pid: number, end: FrpsEnd): Promise<string>;
  /** The reason, with what the present run said that explains it. */
  explain(reason: string): string;
  /** In what the frps differed that was replaced last. */
  replaced(): string | undefined;
  /** Reads frps's output to its present end, and no further. Nothing happens to frps. */
  [Symbol.asyncDispose](): Promise<void>;
};

const say = { component: "supervisor" };

/** Opens the launcher on a state directory (made, 0700, when missing) and frps's output in it; nothing runs until `launch`. */
export async function openFrpsLauncher(options: {
  frps: FrpBinary;
  settings: FrpsSettings;
  stateDir: string;
  stopGraceMs: number;
  now(): Date;
  log: Log;
}): Promise<FrpsLauncher> {
  const { frps, settings, stateDir, stopGraceMs, now, log } = options;
  const recordPath = recordPathOf(stateDir);
  const logPath = join(stateDir, "frps.log");
  const text = renderFrpsConfig(deriveFrpsConfig(settings));
  const configFile = createFrpsConfigFile({ path: join(stateDir, "frps.toml"), frpsPath: frps.path, text });
  const ports = [
    { name: "frps bindPort", port: settings.bindPort },
    { name: "frps vhostHttpPort", port: settings.vhostHttpPort },
    { name: "frps dashboardPort", port: settings.dashboardPort },
  ];
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const output = await openFrpsLog({ path: logPath, log, now });
  let replaced: string | undefined;

  /** The recorded frps, if it lives, and in what it differs from ours. */
  const findEarlier = async (): Promise<{ record: ProcessRecord; differences: readonly string[] } | undefined> => {
    const record = readProcessRecord(recordPath);
    if (record === undefined || !isRecordedAlive(record)) return undefined;
    const keys = await configFile.findDifferences(record.configHash);
    return { record, differences: record.digest === frps.sha256 ? keys : ["the binary", ...keys] };
  };

  const record = (pid: number): void => {
    try {
      writeProcessRecord(recordPath, { pid, digest: frps.sha256, configHash: configFile.hash });
    } catch (error) {
      // Serving goes before the record: without it, only a supervisor killed after this would leave a frps behind.
      log.error({ ...say, cause: String(error) }, `the record ${recordPath} cannot be written; frps runs without it`);
    }
  };

  const forget = (pid: number): void => {
    try {
      if (readProcessRecord(recordPath)?.pid === pid) removeProcessRecord(recordPath);
    } catch (error) {
      // A record of a process that is gone matches nobody: harmless.
      log.debug({ ...say, cause: String(error) }, "the record of the ended frps cannot be removed");
    }
  };

  const explain = (reason: string, isEndKnown = true): string => {
    const words = output.lastWords(3, isEndKnown);
    for (const line of words) {
      const busy = parseBusyPort(line, ports);
      if (busy !== undefined) return describeBusyPort(busy);
    }
    return words.length === 0 ? reason : `${reason}; it said: ${words.join(" | ")}`;
  };

  return {
    async find() {
      const earlier = await findEarlier();
      if (earlier === undefined || earlier.differences.length > 0) return undefined;
      await output.joinRun(earlier.record.pid);
      return adoptFrps(earlier.record);
    },
    async launch(isWanted) {
      // Before the config is placed: what is on disk is what the earlier frps was started with.
      const earlier = await findEarlier();
      if (earlier?.differences.length === 0)
        throw new SupervisorFault("FRPS_PORT_BUSY", `frps has been started by somebody else meanwhile (pid ${earlier.record.pid})`);
      await verifyBinary(frps);
      await configFile.place();
      if (earlier !== undefined) {
        const differs = earlier.differences.join(", ");
        await endRecordedFrps(recordPath, stopGraceMs, (pid) =>
          log.warn({ ...say, pid }, `frps of an earlier run (pid ${pid}) is replaced, because these differ: ${differs}`),
        );
        replaced = differs;
      }
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
    async bury(pid, end) {
      await output.drain();
      forget(pid);
      // Who was killed had no last words; the latest warning would only mislead.
      return end.signal === null ? explain(describeEnd(end), end.code !== null) : describeEnd(end);
    },
    explain,
    replaced: () => replaced,
    [Symbol.asyncDispose]: () => output[Symbol.asyncDispose](),
  };
}
