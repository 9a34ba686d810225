/** What Linux tells of a process: resident memory and CPU time. Other systems: the bench says that it needs Linux. */
import { readFileSync } from "node:fs";
import type { Stage } from "./stage.ts";

/** Of `/proc/<pid>/stat`: USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
const sampleMs = 200;

/** Resident kB. */
function readResidentKb(pid: number): number {
  return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** CPU seconds of all threads so far, steps of 10 ms. */
export function readCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name before it may hold blanks and brackets; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** What a process takes while nothing happens. */
export type IdleFigures = { readonly residentKb: number; readonly cpuPercent: number };

/** Watches processes at rest. Memory is the least that was seen: what a collector would give back is not a tunnel's. */
export async function watchAtRest(stage: Stage, pids: readonly number[], seconds: number): Promise<readonly IdleFigures[]> {
  const startedAt = performance.now();
  const cpuAtStart = pids.map(readCpuSeconds);
  const least = pids.map(readResidentKb);
  while (performance.now() - startedAt < seconds * 1000) {
    await stage.pause(sampleMs);
    for (const [index, pid] of pids.entries()) least[index] = Math.min(least[index] ?? Number.NaN, readResidentKb(pid));
  }
  const elapsed = (performance.now() - startedAt) / 1000;
  return pids.map((pid, index) => ({
    residentKb: least[index] ?? Number.NaN,
    cpuPercent: ((readCpuSeconds(pid) - (cpuAtStart[index] ?? Number.NaN)) / elapsed) * 100,
  }));
}
