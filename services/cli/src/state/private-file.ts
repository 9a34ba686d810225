/** Files that only we (or, in a shared state directory, our group) may read, written whole or not at all. */
import {
  chmodSync,
  closeSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Fault } from "@keyhole/core";

/** Whom a file is given to. Only root can give one away. */
export type FileOwner = { readonly uid: number; readonly gid: number };

/** Writes a file with mode 0600 beside its place, forces it to disk, then moves it there: nobody sees half of it. */
export function writePrivateFile(path: string, content: string | Uint8Array, mode = 0o600, owner?: FileOwner): void {
  writeWhole(path, content, { mode, owner }, (fresh) => renameSync(fresh, path));
}

/** As `writePrivateFile`, but only when there is no such file yet: of several processes that start at once, one makes it. False: another one did. */
export function createPrivateFile(path: string, content: string | Uint8Array, mode = 0o600): boolean {
  let isOurs = true;
  writeWhole(path, content, { mode, owner: undefined }, (fresh) => {
    try {
      linkSync(fresh, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      isOurs = false;
    } finally {
      rmSync(fresh, { force: true });
    }
  });
  return isOurs;
}

function writeWhole(
  path: string,
  content: string | Uint8Array,
  { mode, owner }: { readonly mode: number; readonly owner: FileOwner | undefined },
  place: (fresh: string) => void,
): void {
  const fresh = `${path}.${process.pid}.new`;
  try {
    // Left by a process of the same number, perhaps another user's.
    rmSync(fresh, { force: true });
    const file = openSync(fresh, "wx", mode);
    try {
      if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
      chmodSync(fresh, mode);
      writeSync(file, typeof content === "string" ? Buffer.from(content) : content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    place(fresh);
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
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o007) !== 0)
      throw new Fault("KEYS_UNREADABLE", `${path} may be read by everybody (mode ${mode.toString(8)}); run: chmod 600 ${path}`);
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
