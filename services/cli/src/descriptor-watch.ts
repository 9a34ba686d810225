/**
 * How many descriptors a process has open, beside how many it may (RLIMIT_NOFILE). At the limit Node's runtime closes new
 * connections without a word to us, and frps refuses them without a word to anybody: nobody but this would ever say why. Linux;
 * elsewhere nothing is watched.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Log } from "./log.ts";

/** From here on it is told, and below the second that it is over: a part of the limit. */
const scarceFrom = 0.9;
const wellBelow = 0.75;
const lookEveryMs = 1000;

/** What a look found; undefined where it cannot be told. */
export type DescriptorCount = { readonly open: number; readonly limit: number };

/** What is watched: `scarce` while its descriptors are. */
export type DescriptorWatch = Disposable & { scarce(): DescriptorCount | undefined };

/** Counts those of a process; of ourselves `open` is the limit when there is none left to look with. */
export function countDescriptors(pid: number | "self"): DescriptorCount | undefined {
  const limit = readLimit(pid);
  if (limit === undefined) return undefined;
  try {
    return { open: readdirSync(`/proc/${pid}/fd`).length, limit };
  } catch (cause) {
    return pid === "self" && isExhausted(cause) ? { open: limit, limit } : undefined;
  }
}

/** Our own as it was read last: at the limit it cannot be read. */
let ownLimit: number | undefined;

function readLimit(pid: number | "self"): number | undefined {
  try {
    const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]);
    if (Number.isNaN(limit)) return undefined;
    if (pid === "self") ownLimit = limit;
    return limit;
  } catch (cause) {
    return pid === "self" && isExhausted(cause) ? ownLimit : undefined;
  }
}

const isExhausted = (cause: unknown): boolean => ["EMFILE", "ENFILE"].includes((cause as NodeJS.ErrnoException).code ?? "");

const messages = {
  keyhole: {
    scarce: "file descriptors are scarce: connections beyond the limit are closed at once. Raise LimitNOFILE, or find who opens so many",
    enough: "there are enough file descriptors again",
  },
  frps: {
    scarce: "frps's file descriptors are scarce: beyond the limit no client and no visitor gets in. Raise the supervisor's LimitNOFILE",
    enough: "frps has enough file descriptors again",
  },
} as const;

/**
 * Looks now and every so often, and says once that descriptors are scarce and once that there are enough again. While nothing can be
 * told (frps is not running) it stays at what it said last.
 */
export function startDescriptorWatch(options: {
  readonly log: Log;
  /** Whose they are: without it this process's. */
  readonly of?: keyof typeof messages;
  readonly count?: () => DescriptorCount | undefined;
  readonly everyMs?: number;
}): DescriptorWatch {
  const { log, of = "keyhole", count = () => countDescriptors("self"), everyMs = lookEveryMs } = options;
  let scarce: DescriptorCount | undefined;
  const look = (): void => {
    const found = count();
    if (found === undefined) return;
    const part = found.open / found.limit;
    if (scarce === undefined && part >= scarceFrom) log.error({ event: "descriptors.scarce", of, ...found }, messages[of].scarce);
    else if (scarce !== undefined && part < wellBelow) log.info({ event: "descriptors.enough", of, ...found }, messages[of].enough);
    scarce = part >= (scarce === undefined ? scarceFrom : wellBelow) ? found : undefined;
  };
  // At once: when there is none left, the limit cannot be read for the first time.
  look();
  const timer = setInterval(look, everyMs).unref();
  return { scarce: () => scarce, [Symbol.dispose]: () => clearInterval(timer) };
}
