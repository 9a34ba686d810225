/**
 * What is left of a request's body after its answer. Read and thrown away, so that the visitor gets to read the answer
 * (closing on unread bytes resets the connection, and the answer with it) and a kept connection stays in step; bounded,
 * so that nobody can make us swallow bytes for ever.
 */
import type { IncomingMessage } from "node:http";

const maxBytes = 64 * 1024 * 1024;
const maxMs = 5000;

/** Calls `done` once: true when the body has ended, false when the bound was reached or the visitor left. */
export function discardBody(req: IncomingMessage, done: (isWhole: boolean) => void): void {
  if (req.complete || req.destroyed) {
    req.resume();
    done(req.complete);
    return;
  }
  let bytes = 0;
  const timer = setTimeout(() => finish(false), maxMs).unref();
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > maxBytes) finish(false);
  };
  const ended = (): void => finish(true);
  const left = (): void => finish(req.complete);
  const finish = (isWhole: boolean): void => {
    clearTimeout(timer);
    req.off("data", count).off("end", ended).off("close", left);
    done(isWhole);
  };
  req.on("data", count).on("end", ended).on("close", left);
  req.resume();
}
