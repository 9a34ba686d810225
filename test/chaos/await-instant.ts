/** Chaos has a timetable: this waits for an instant of it, or for the end of the run. */
import { now } from "./history.ts";

const stepMs = 50;

/** Resolves at the instant, or soon after the signal was aborted. */
export async function awaitInstant(at: number, signal: AbortSignal): Promise<void> {
  while (now() < at && !signal.aborted) {
    const ms = Math.min(stepMs, Math.max(0, at - now()));
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}
