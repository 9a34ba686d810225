/**
 * frps's output file: read as it grows, each line adapted into our log (component "frps") with tickets and run_ids taken
 * out by `parseFrpLogLine`, and the file cut to nothing whenever it has passed its limit. It is cut in place: frps keeps
 * its descriptor, and O_APPEND puts its next line at the new beginning (reference: append-only file, truncated under frps,
 * frps lives). The file holds tickets, so it is never copied or rotated.
 */
import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type FrpLogLine, parseFrpLogLine } from "@keyhole/frp";
import type { Log } from "./log.ts";

/** The file of one frps after the other. */
export type FrpsLog = {
  /** A new run begins: what it writes from here on is its own. */
  beginRun(): Promise<void>;
  /** Reads everything that is in the file now. */
  drain(): Promise<void>;
  /** What the current run said that explains an end, redacted: at most `count` lines. */
  lastWords(count: number): readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
};

const chunkBytes = 64 * 1024;
const maxLineBytes = 64 * 1024;
const keptLines = 20;

/** Follows the file until disposed of. Creates it (0600) when it is missing. */
export async function openFrpsLog(options: { path: string; log: Log; maxBytes?: number; pollMs?: number }): Promise<FrpsLog> {
  const { path, log, maxBytes = 4 * 1024 * 1024, pollMs = 200 } = options;
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let file: FileHandle | undefined;
  let position = 0;
  let partial = Buffer.alloc(0);
  let isSkipping = false;
  let run: FrpLogLine[] = [];
  let panic: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isFailing = false;
  let queue: Promise<void> = Promise.resolve();

  const hear = (text: string): void => {
    const line = parseFrpLogLine(text);
    if (line.message.trim() === "") return;
    run.push(line);
    if (run.length > keptLines) run.shift();
    // A panic says its reason first, and hundreds of lines of stack after it.
    if (line.at === undefined && /^(panic|fatal error): /.test(line.message)) panic ??= line.message;
    const fields = { component: "frps", source: line.source, ...(line.at === undefined ? {} : { at: line.at }) };
    // frps logs every call of its dashboard (ours come every two seconds), and every request that it could not route, with
    // the visitor's path: the one is noise, the other the tenant's business.
    const isNoise = line.level === "trace" || /^(?:http\/middleware|httputil\/reverseproxy)\.go:/.test(line.source);
    log[isNoise ? "debug" : line.level](fields, line.message);
  };

  const take = (bytes: Buffer): void => {
    let rest = partial.length === 0 ? bytes : Buffer.concat([partial, bytes]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      if (!isSkipping) hear(rest.toString("utf8", 0, end));
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
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      take(chunk.subarray(0, bytesRead));
    }
    // Only between two lines, and only when nothing came since the last read: both calls are synchronous for that.
    if (position > maxBytes && partial.length === 0 && fstatSync(file.fd).size === position) {
      ftruncateSync(file.fd, 0);
      position = 0;
    }
  };

  /** One after the other; a disk that does not answer is said once, and never ends the supervisor. */
  const enqueue = (work: () => Promise<void>): Promise<void> => {
    queue = queue.then(work).then(
      () => {
        isFailing = false;
      },
      (error: unknown) => {
        if (!isFailing) log.warn({ component: "supervisor", cause: String(error) }, "frps's output file cannot be read; trying again");
        isFailing = true;
      },
    );
    return queue;
  };

  const schedule = (): void => {
    if (isClosed) return;
    timer = setTimeout(() => void enqueue(readOn).then(schedule), pollMs);
  };

  const reopen = async (): Promise<void> => {
    await file?.close();
    file = undefined;
    // Opened by path for every run: a file that was removed is a new one for the next frps.
    closeSync(openSync(path, "a", 0o600));
    file = await open(path, "r+");
    position = (await file.stat()).size;
    partial = Buffer.alloc(0);
    isSkipping = false;
    run = [];
    panic = undefined;
  };

  await reopen();
  schedule();

  return {
    beginRun: () => enqueue(reopen),
    drain: () => enqueue(readOn),
    lastWords: (count) => (panic === undefined ? pickLastWords(run, count) : [panic]),
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

/** What explains an end: bare lines (Go's own last words carry no time), else warnings and errors. */
function pickLastWords(run: readonly FrpLogLine[], count: number): readonly string[] {
  const bare = run.filter((line) => line.at === undefined);
  const telling = bare.length > 0 ? bare : run.filter((line) => line.level === "warn" || line.level === "error");
  return telling.slice(-count).map((line) => line.message);
}
