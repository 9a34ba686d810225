/**
 * Two byte streams made one: backpressure and half-close in both directions, and one end: when either side is gone, the
 * other gets what is already written to it and is closed. Nothing is buffered beyond the sockets' own high-water marks.
 */
import type { Duplex } from "node:stream";

/** A side that was closed halfway is given this long to finish: neither frp nor WebSocket stays half-open. */
const lingerMs = 30_000;
const flushMs = 5000;

export function joinSockets(
  one: Duplex,
  other: Duplex,
  count: { readonly fromOne: (bytes: number) => void; readonly fromOther: (bytes: number) => void },
): void {
  let linger: NodeJS.Timeout | undefined;
  const halfClosed = (): void => {
    linger ??= setTimeout(() => {
      one.destroy();
      other.destroy();
    }, lingerMs).unref();
  };
  const closed = (): void => clearTimeout(linger);
  pour(one, other, count.fromOne, halfClosed);
  pour(other, one, count.fromOther, halfClosed);
  closeAfter(one, other, closed);
  closeAfter(other, one, closed);
}

function pour(from: Duplex, to: Duplex, count: (bytes: number) => void, halfClosed: () => void): void {
  from.on("data", (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => {
    to.end();
    halfClosed();
  });
}

function closeAfter(gone: Duplex, left: Duplex, closed: () => void): void {
  // 'close' follows every error; without a listener the error itself would end the process.
  gone.on("error", () => {});
  gone.on("close", () => {
    closed();
    if (left.destroyed) return;
    left.end();
    const timer = setTimeout(() => left.destroy(), flushMs).unref();
    const finish = (): void => {
      clearTimeout(timer);
      left.destroy();
    };
    if (left.writableFinished) finish();
    else left.once("finish", finish);
  });
}
