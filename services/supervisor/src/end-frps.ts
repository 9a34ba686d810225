/**
 * Ends the frps that the record names: before another is started, and when somebody asks for it while no supervisor runs.
 * Pid and start time must both agree; a process is never found by its name.
 */
import { join } from "node:path";
import { endRecordedProcess } from "@keyhole/frp";
import { SupervisorFault } from "./fault.ts";
import type { Log } from "./log.ts";

/** What was done: nothing ran; it ended on TERM; it was deaf or frozen and was killed. */
export type EndedFrps = { readonly kind: "none" } | { readonly kind: "ended" | "killed"; readonly pid: number };

/** Where the running frps of a state directory is recorded. */
export const recordPathOf = (stateDir: string): string => join(stateDir, "frps.json");

/**
 * Ends the frps of a state directory on which no supervisor runs (whose lock the caller holds): TERM, KILL after the grace.
 * Resolves when the process is gone. Throws `FRPS_RECORDED_NOT_ENDED` when it cannot be ended.
 */
export async function endFrps(options: { readonly stateDir: string; readonly graceMs?: number; readonly log: Log }): Promise<EndedFrps> {
  const { stateDir, graceMs = 3_000, log } = options;
  return endRecordedFrps(recordPathOf(stateDir), graceMs, (pid) => log.info({ component: "supervisor", pid }, "frps is ended, as asked"));
}

/** The same for a record; `onEnding` is called once, before the first signal. */
export async function endRecordedFrps(recordPath: string, graceMs: number, onEnding: (pid: number) => void): Promise<EndedFrps> {
  const end = await endRecordedProcess(recordPath, { graceMs, onEnding });
  if (end === undefined) return { kind: "none" };
  // The record may stay: of a process that is gone it names nobody.
  if (end.kind !== "not-ended") return { kind: end.kind, pid: end.pid };
  const sentence = `frps of an earlier run (pid ${end.pid}) cannot be ended: ${end.reason}. End it by hand, then start again`;
  throw new SupervisorFault("FRPS_RECORDED_NOT_ENDED", sentence);
}
