/** Files that only we may read, written whole or not at all. */
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "@keyhole/core";

/** Makes a directory that only its owner may enter. */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (cause) {
    throw new Fault(
      "STATE_UNWRITABLE",
      `The directory ${path} cannot be made or owned (${(cause as NodeJS.ErrnoException).code}); check stateDir and its permissions.`,
      { cause },
    );
  }
}

/** Writes a file with mode 0600 beside its place, forces it to disk, then moves it there: nobody sees half of it. */
export function writePrivateFile(path: string, content: string | Uint8Array, mode = 0o600): void {
  const fresh = `${path}.${process.pid}.new`;
  try {
    const file = openSync(fresh, "w", mode);
    try {
      chmodSync(fresh, mode);
      writeSync(file, typeof content === "string" ? Buffer.from(content) : content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
  } catch (cause) {
    throw new Fault(
      "STATE_UNWRITABLE",
      `${path} cannot be written (${(cause as NodeJS.ErrnoException).code}); check stateDir, its permissions and the free space.`,
      { cause },
    );
  }
}

/** Reads a file; undefined when it is not there. Refuses one that others may read. */
export function readPrivateFile(path: string): Buffer | undefined {
  try {
    if ((statSync(path).mode & 0o007) !== 0) throw new Fault("KEYS_UNREADABLE", `${path} may be read by everybody; run: chmod 600 ${path}`);
    return readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (cause instanceof Fault) throw cause;
    throw new Fault(
      "KEYS_UNREADABLE",
      `${path} cannot be read (${(cause as NodeJS.ErrnoException).code}); check its owner and permissions.`,
      { cause },
    );
  }
}
