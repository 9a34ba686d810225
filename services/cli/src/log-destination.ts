/**
 * Where the lines of the log go. Whoever reads them may be slow, gone, or out of room: nobody here waits for that. What
 * cannot be written now is kept, up to a bound, and tried again; what is beyond it is dropped, counted, and told when there
 * is room again.
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";

/** A destination for pino: whole lines in, each ending with a line feed. */
export type LogDestination = {
  /** Never throws and never waits, except for a terminal, a disk or a device that is itself slow. */
  write(text: string): void;
  /** Tries once more to write what is kept: for the end of the process. */
  flush(): void;
};

const maxKeptBytes = 256 * 1024;
const retryMs = 100;

/** Opens it on a descriptor that is open already. `onDropped` is told how many lines were lost, once others can be written again. */
export function openLogDestination(fd: number, onDropped: (lines: number) => void): LogDestination {
  const target = openUnblocked(fd);
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;

  /** What is left of it: everything when the reader is gone or the disk is full, for both may end. */
  function put(bytes: Buffer): Buffer | undefined {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(target, rest));
      return undefined;
    } catch {
      return rest;
    }
  }

  function keep(bytes: Buffer): void {
    if (keptBytes + bytes.length > maxKeptBytes) {
      for (const byte of bytes) if (byte === 10) dropped += 1;
      return;
    }
    kept.push(bytes);
    keptBytes += bytes.length;
    timer ??= setInterval(flush, retryMs).unref();
  }

  function flush(): void {
    for (let first = kept[0]; first !== undefined; first = kept[0]) {
      const rest = put(first);
      keptBytes -= first.length - (rest?.length ?? 0);
      if (rest !== undefined) {
        kept[0] = rest;
        return;
      }
      kept.shift();
    }
    clearInterval(timer);
    timer = undefined;
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    onDropped(lines);
  }

  return {
    write(text) {
      const bytes = Buffer.from(text);
      const rest = kept.length > 0 ? bytes : put(bytes);
      if (rest !== undefined) keep(rest);
    },
    flush,
  };
}

/** A descriptor on the same thing on which a write never waits for a reader. */
function openUnblocked(fd: number): number {
  try {
    const kind = fstatSync(fd);
    // Opened once more: the flag is then ours alone, and not also of whoever shares the pipe with us.
    if (kind.isFIFO()) return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    // A socket cannot be opened again. That libuv takes it sets the flag; it is never read and never closed here.
    if (kind.isSocket()) new Socket({ fd, readable: false, writable: true }).on("error", () => {}).unref();
  } catch {
    // No reader, or no /proc: what is written shows it.
  }
  return fd;
}
