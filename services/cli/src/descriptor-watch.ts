/**
 * How many descriptors this process has open, beside how many it may (RLIMIT_NOFILE). At the limit new connections are closed
 * by the runtime without a word to us, so nobody but this would ever say why. Linux; elsewhere nothing is watched.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Log } from "./log.ts";

/** From here on it is told, and below the second that it is over: a part of the limit. */
const scarceFrom = 0.9;
const wellBelow = 0.75;
const lookEveryMs = 1000;

/** What a look found; undefined where it cannot be told. */
export type DescriptorCount = { readonly open: number; readonly limit: number };

/** Counts; `open` is the limit when there is none left to look with. */
export function countOwnDescriptors(): DescriptorCount | undefined {
  const limit = readLimit();
  if (limit === undefined) return undefined;
  try {
    return { open: readdirSync("/proc/self/fd").length, limit };
  } catch (cause) {
    return isExhausted(cause) ? { open: limit, limit } : undefined;
  }
}

/** What was read last: at the limit it cannot be read. */
let knownLimit: number | undefined;

function readLimit(): number | undefined {
  try {
    knownLimit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
  } catch (cause) {
    if (!isExhausted(cause)) return undefined;
  }
  return knownLimit === undefined || Number.isNaN(knownLimit) ? undefined : knownLimit;
}

const isExhausted = (cause: unknown): boolean => ["EMFILE", "ENFILE"].includes((cause as NodeJS.ErrnoException).code ?? "");

/** Looks now and every second, and says once that descriptors are scarce and once that there are enough again. */
export function startDescriptorWatch(options: { readonly log: Log; readonly count?: () => DescriptorCount | undefined }): Disposable {
  const { log, count = countOwnDescriptors } = options;
  let isScarce = false;
  const look = (): void => {
    const found = count();
    if (found === undefined) return;
    const part = found.open / found.limit;
    if (!isScarce && part >= scarceFrom) {
      isScarce = true;
      const message =
        "file descriptors are scarce: connections beyond the limit are closed at once. Raise LimitNOFILE, or find who opens so many";
      log.error({ event: "descriptors.scarce", ...found }, message);
    } else if (isScarce && part < wellBelow) {
      isScarce = false;
      log.info({ event: "descriptors.enough", ...found }, "there are enough file descriptors again");
    }
  };
  // At once: when there is none left, the limit cannot be read for the first time.
  look();
  const timer = setInterval(look, lookEveryMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
