/**
 * A running frps of an earlier supervisor, handled like a child. It is not ours to wait for: its end is seen by looking,
 * and how it ended nobody tells. Before every signal pid and start time are compared, so that a stranger who was given
 * the pid is never touched.
 */
import { awaitRecordedEnd, isRecordedAlive, type ProcessRecord } from "@keyhole/frp";
import type { FrpsProcess } from "./frps-process.ts";

const pollMs = 100;

/** Takes the recorded process over; nothing happens to it. */
export function adoptFrps(record: ProcessRecord): FrpsProcess & { readonly pid: number } {
  const watching = new AbortController();
  const ended = new Promise<{ code: null; signal: null; error: undefined }>((resolve) => {
    void awaitRecordedEnd(record, { pollMs, signal: watching.signal }).then((isGone) => {
      if (isGone) resolve({ code: null, signal: null, error: undefined });
    });
  });
  return {
    pid: record.pid,
    ended,
    signal(name) {
      if (!isRecordedAlive(record)) return;
      try {
        process.kill(record.pid, name);
      } catch (error) {
        // It ended in this very moment: `ended` will tell.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    },
    release: () => watching.abort(),
  };
}
