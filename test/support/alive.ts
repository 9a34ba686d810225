/** Whether a process still lives (Linux). A zombie does not: where nobody reaps, it stays for ever. */
import { readdirSync, readFileSync } from "node:fs";

export function isAlive(pid: number): boolean {
  if (pid < 2) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const state = stat.slice(stat.lastIndexOf(")") + 2)[0];
    // The first thread may be gone while others still hold the ports.
    return state !== "X" && (state !== "Z" || readdirSync(`/proc/${pid}/task`).length > 1);
  } catch {
    return false;
  }
}
