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
  count: {
    readonly fromOne: (bytes: number) => void;
    readonly fromOther: (bytes: number) => void;
    /** Judges what `one` sends: gives back what may pass now. */
    readonly admitFromOne?: (chunk: Buffer) => Buffer | undefined;
  },
): void {
  let linger: NodeJS.Timeout | undefined;
  const halfClosed = (): void => {
    linger ??= setTimeout(() => {
      one.destroy();
      other.destroy();
    }, lingerMs).unref();
  };
  const closed = (): void => clearTimeout(linger);
  pour(one, other, { count: count.fromOne, admit: count.admitFromOne ?? asItIs, halfClosed });
  pour(other, one, { count: count.fromOther, admit: asItIs, halfClosed });
  closeAfter(one, other, closed);
  closeAfter(other, one, closed);
}

const asItIs = (chunk: Buffer): Buffer => chunk;

type Pour = {
  readonly count: (bytes: number) => void;
  readonly admit: (chunk: Buffer) => Buffer | undefined;
  readonly halfClosed: () => void;
};

function pour(from: Duplex, to: Duplex, { count, admit, halfClosed }: Pour): void {
  from.on("data", (chunk: Buffer) => {
    count(chunk.length);
    const admitted = admit(chunk);
    if (admitted !== undefined && !to.write(admitted)) from.pause();
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
