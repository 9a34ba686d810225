/**
 * frps's output file: read as it grows, each line handed to `frps-words.ts`, and the file cut to nothing whenever it has
 * passed its limit. It is cut in place: frps keeps its descriptor, and O_APPEND puts its next line at the new beginning
 * (reference: append-only file, truncated under frps, frps lives). The file holds tickets, so it is never copied or rotated.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { appendOwn } from "./frps-process.ts";
import { createFrpsWords } from "./frps-words.ts";
import type { Log } from "./log.ts";

/** The file of one frps after the other. */
export type FrpsLog = {
  /** A new run begins: what it writes from here on is its own. */
  beginRun(): Promise<void>;
  /**
   * The run of an earlier supervisor goes on. Its latest lines are known as words, and only what it writes from here on is
   * logged. Should it write to another file than ours (removed or renamed under it), that one is followed, and a line says so.
   */
  joinRun(pid: number): Promise<void>;
  /** Reads everything that is in the file now. */
  drain(): Promise<void>;
  /** What the current run said that explains an end, redacted: at most `count` lines. */
  lastWords(count: number, withWarnings: boolean): readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
};

const chunkBytes = 64 * 1024;
const maxLineBytes = 64 * 1024;
const joinedBytes = 64 * 1024;
/**
 * A tenant can make frps write tens of thousands of lines a second, and who handles them all handles nothing else. Beyond
 * this many a poll they are counted, and only the latest are kept, as words; what is further behind than this is not read.
 */
const linesAPoll = 200;
const keptBehind = 20;
const readBytesAPoll = 1024 * 1024;

/** Follows the file until disposed of. Creates it (0600) when it is missing. */
export async function openFrpsLog(options: { path: string; log: Log; now(): Date; maxBytes?: number; pollMs?: number }): Promise<FrpsLog> {
  const { path, log, now, maxBytes = 4 * 1024 * 1024, pollMs = 200 } = options;
  const say = { component: "supervisor" };
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const words = createFrpsWords(log);
  const wasMissing = !existsSync(path);
  let file: FileHandle | undefined;
  let position = 0;
  let lastReadAt = now();
  let partial = Buffer.alloc(0);
  let isSkipping = false;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isFailing = false;
  let queue: Promise<void> = Promise.resolve();

  let budget = linesAPoll;
  let leftOut = 0;
  let behind: Buffer[] = [];

  const hear = (line: Buffer, moment: { readonly from: Date; readonly to: Date } | undefined): void => {
    if (moment !== undefined && budget === 0) {
      leftOut += 1;
      behind.push(Buffer.from(line));
      if (behind.length > keptBehind) behind.shift();
      return;
    }
    if (moment !== undefined) budget -= 1;
    words.hear(line.toString("utf8"), moment);
  };

  const tellLeftOut = (): void => {
    for (const line of behind) words.hear(line.toString("utf8"), undefined);
    if (leftOut > 0)
      log.warn({ component: "frps", leftOut }, `${leftOut} lines of frps's output were left out: there were too many at once`);
    [budget, leftOut, behind] = [linesAPoll, 0, []];
  };

  /** Old bytes are those that were there before we joined the run: their lines are not logged. */
  const take = (bytes: Buffer, isOld = false): void => {
    const moment = isOld ? undefined : { from: lastReadAt, to: now() };
    let rest = partial.length === 0 ? bytes : Buffer.concat([partial, bytes]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      if (!isSkipping) hear(rest.subarray(0, end), moment);
      isSkipping = false;
      rest = rest.subarray(end + 1);
    }
    if (isSkipping) rest = rest.subarray(rest.length);
    else if (rest.length > maxLineBytes) {
      // Part of a line cannot be redacted safely (a ticket might be cut in two), so none of it is shown.
      log.warn({ component: "frps" }, `a line of more than ${maxLineBytes} bytes in frps's output was left out`);
      isSkipping = true;
      rest = rest.subarray(rest.length);
    }
    partial = Buffer.from(rest);
  };

  const readOn = async (): Promise<void> => {
    if (file === undefined) return;
    const { size } = await file.stat();
    if (size < position) {
      // Somebody else cut the file. What was half read is lost with it.
      position = 0;
      partial = Buffer.alloc(0);
      isSkipping = false;
    }
    if (size - position > readBytesAPoll) {
      log.warn({ component: "frps", bytes: size - position }, "frps writes faster than its output can be read: a part of it was left out");
      position = size - joinedBytes;
      partial = Buffer.alloc(0);
      isSkipping = true;
    }
    const until = position + readBytesAPoll;
    while (position < until) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      take(chunk.subarray(0, bytesRead));
    }
    tellLeftOut();
    lastReadAt = now();
    // Between two lines, and when nothing came since the last read: both calls are synchronous for that. Who never pauses
    // is cut anyway, or the disk would fill: what was not read by then is lost.
    const { size: written } = fstatSync(file.fd);
    if ((position > maxBytes && partial.length === 0 && written === position) || written > maxBytes + readBytesAPoll) {
      ftruncateSync(file.fd, 0);
      position = 0;
      partial = Buffer.alloc(0);
      isSkipping = false;
    }
  };

  /** One after the other; a disk that does not answer is said once, and never ends the supervisor. */
  const enqueue = (work: () => Promise<void>): Promise<void> => {
    queue = queue.then(work).then(
      () => {
        isFailing = false;
      },
      (error: unknown) => {
        if (!isFailing) log.warn({ ...say, cause: String(error) }, "frps's output file cannot be read; trying again");
        isFailing = true;
      },
    );
    return queue;
  };

  const schedule = (): void => {
    if (isClosed) return;
    timer = setTimeout(() => void enqueue(readOn).then(schedule), pollMs);
  };

  const follow = async (opened: FileHandle): Promise<void> => {
    await file?.close();
    file = opened;
    position = (await file.stat()).size;
    lastReadAt = now();
    partial = Buffer.alloc(0);
    isSkipping = false;
    words.forget();
  };

  /** Opened by path for every run: a file that was removed is a new one for the next frps. */
  const openByPath = (): Promise<FileHandle> => {
    closeSync(openSync(path, appendOwn, 0o600));
    return open(path, "r+");
  };

  const join = async (pid: number): Promise<void> => {
    const output = await openOutputOf(pid);
    const opened = output ?? (await openByPath());
    const [ours, theirs] = await Promise.all([stat(path).catch(() => undefined), opened.stat()]);
    if (output === undefined ? wasMissing : ours?.ino !== theirs.ino || ours.dev !== theirs.dev) {
      const sentence = `frps writes its output to a file that is no longer ${path} (it was removed or renamed), until it is started anew`;
      log.warn({ ...say, pid }, sentence);
    }
    await follow(opened);
    const from = Math.max(0, position - joinedBytes);
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(position - from), 0, position - from, from);
    // The first of these lines may have lost its beginning. The last may lack its end, and is heard when it has come.
    isSkipping = from > 0;
    take(buffer.subarray(0, bytesRead), true);
  };

  await follow(await openByPath());
  schedule();

  return {
    beginRun: () => enqueue(async () => follow(await openByPath())),
    joinRun: (pid) => enqueue(() => join(pid)),
    drain: () => enqueue(readOn),
    lastWords: words.lastWords,
    async [Symbol.asyncDispose]() {
      if (isClosed) return queue;
      isClosed = true;
      clearTimeout(timer);
      await enqueue(readOn);
      await enqueue(async () => {
        await file?.close();
        file = undefined;
      });
    },
  };
}

/** The file that a process has as its standard output, by whatever name or none. Undefined where the system does not tell. */
async function openOutputOf(pid: number): Promise<FileHandle | undefined> {
  const path = `/proc/${pid}/fd/1`;
  try {
    return (await stat(path)).isFile() ? await open(path, "r+") : undefined;
  } catch {
    return undefined;
  }
}
