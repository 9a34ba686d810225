/**
 * The state directory, in one of two forms (DESIGN.md §7). Private: 0700, one user runs everything. Shared: 2770, the parts
 * run as several users of one group, who must be able to read each other's databases (and so to create their `-shm` files)
 * and to open each other's sockets. What a directory is, its mode says: setgid and group rwx is shared.
 */
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "@keyhole/core";

/** An open state directory. */
export type StateDirectory = {
  readonly path: string;
  readonly isShared: boolean;
  /** For files that other parts must read: 0660 when shared, 0600 otherwise. What only its own part reads is 0600 always. */
  readonly fileMode: number;
  /** The folder of this name, made with the directory's own mode. */
  folder(...names: readonly string[]): string;
};

const sharedMode = 0o2770;
const privateMode = 0o700;
const publishedMode = 0o2750;

/** Opens the directory; one that is missing is made in the form that is wanted. Throws `Fault("STATE_UNWRITABLE")`. */
export function openStateDirectory(path: string, wanted: "private" | "shared"): StateDirectory {
  const found = modeOf(path);
  const isShared = found === undefined ? wanted === "shared" : (found & sharedMode) === sharedMode;
  const mode = isShared ? sharedMode : privateMode;
  makeDirectory(path, mode);
  return {
    path,
    isShared,
    fileMode: isShared ? 0o660 : 0o600,
    folder(...names) {
      let folder = path;
      for (const name of names) {
        folder = join(folder, name);
        makeDirectory(folder, mode);
      }
      return folder;
    },
  };
}

/** For commands that look at what there is: a wrong `stateDir` must neither look empty nor make a new one. Throws `Fault("STATE_UNWRITABLE")`. */
export function requireStateDirectory(path: string): void {
  if (existsSync(path)) return;
  throw new Fault("STATE_UNWRITABLE", `There is no state directory ${path}. Name its configuration with --config, or start Keyhole once.`);
}

/** Makes a directory that only its owner may enter. */
export const makePrivateDirectory = (path: string): void => makeDirectory(path, privateMode);

/** Makes a directory that its owner writes and, when it is shared, the group reads: what is published to the other parts. */
export const makePublishedDirectory = (path: string, isShared: boolean): void =>
  makeDirectory(path, isShared ? publishedMode : privateMode);

function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode: mode & 0o777 });
    // Past the umask. In a shared directory it may be another user's, and right already: then it is left alone.
    if (((modeOf(path) ?? 0) & 0o7777) !== mode) chmodSync(path, mode);
  } catch (cause) {
    throw new Fault(
      "STATE_UNWRITABLE",
      `The directory ${path} cannot be made or used (${(cause as NodeJS.ErrnoException).code})${describeOwner(path)}; check stateDir and its permissions.`,
      { cause },
    );
  }
}

/** Most often it is another user's: then that is what helps. */
function describeOwner(path: string): string {
  for (const each of [path, dirname(path)]) {
    try {
      const { uid, mode } = statSync(each);
      if (uid === process.getuid?.()) continue;
      return `: ${each} belongs to user ${uid} (mode ${(mode & 0o777).toString(8)}). Run this as that user, or use another stateDir`;
    } catch {
      // Not even that may be looked at.
    }
  }
  return "";
}

function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    return undefined;
  }
}
