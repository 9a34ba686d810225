/**
 * Which file lies at a path, looked at no more than ten times a second: every login reads, and a file is put in place of
 * another by a person, once in a year. Who acknowledges something looks for sure.
 */
import { statFile } from "./database-file.ts";

/** How long an answer is believed, in ms. */
const believedMs = 100;

/** Device and inode of a file; undefined when there is none. Throws `STORE_UNAVAILABLE` when that cannot be told. */
export function identifyFile(path: string): string | undefined {
  const stats = statFile(path);
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/**
 * The same of a database file together with its log and the index of that: whoever has one of them open that is not the one
 * at its path any more reads what nobody writes.
 */
export function identifyWithLog(path: string): string | undefined {
  const file = identifyFile(path);
  return file === undefined ? undefined : [file, ...["-wal", "-shm"].map((suffix) => identifyFile(path + suffix))].join(" ");
}

/** Compares what `identifyWithLog` told, without log and index. */
export const isSameFile = (one: string | undefined, other: string | undefined): boolean => one?.split(" ")[0] === other?.split(" ")[0];

/** Which file lies at a path, as `identify` tells it. */
export type FileGlance = {
  /** As it was within the last 100 ms. */
  glance(): string | undefined;
  /** As it is now. */
  look(): string | undefined;
  /** The next glance looks: something went wrong with the file. */
  doubt(): void;
};

/** Makes the glance at one path. Its timer keeps no process alive. */
export function createFileGlance(path: string, identify: (path: string) => string | undefined): FileGlance {
  let believed: string | undefined;
  const doubt = (): void => {
    believed = undefined;
  };
  return {
    look: () => identify(path),
    doubt,
    glance() {
      if (believed !== undefined) return believed;
      believed = identify(path);
      if (believed !== undefined) setTimeout(doubt, believedMs).unref();
      return believed;
    },
  };
}
