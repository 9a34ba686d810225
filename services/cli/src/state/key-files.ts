/**
 * Key rings on disk: `<stateDir>/keys/<purpose>/<kid>.key`, 32 bytes in base64url a file. The name of a file begins with
 * the time it was made, so names sort by age. A ring is read again when its directory changes: rotation needs no restart.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { Fault, type MacKey, type ReadKeyRing } from "@keyhole/core";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";
import { makePrivateDirectory, type StateDirectory } from "./state-directory.ts";

const keyName = /^([0-9]{13}-[0-9a-f]{8})\.key$/;
/** How often a ring looks whether its directory has changed, in ms. */
const lookEveryMs = 1000;

/** Opens a ring, making its first key when there is none. Throws `Fault("KEYS_UNREADABLE")`. */
export function openKeyRing(options: {
  readonly state: StateDirectory;
  /** Names the folder below `keys`. */
  readonly purpose: string;
  /** Other parts read this ring too. */
  readonly isShared: boolean;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
}): ReadKeyRing {
  const { state, purpose, isShared, now } = options;
  const dir = join(state.folder("keys"), purpose);
  if (!existsSync(dir) || readKeys(dir).length === 0) makeFirstKey(dir, options);
  // Who may write into the folder could add a key of his own, and mint with it.
  if (isShared) state.folder("keys", purpose);
  else makePrivateDirectory(dir);
  let keys = readKeys(dir);
  let changedAt = statSync(dir).mtimeMs;
  let lookedAt = now().getTime();
  return () => {
    const time = now().getTime();
    if (time - lookedAt >= lookEveryMs) {
      lookedAt = time;
      const { mtimeMs } = statSync(dir);
      if (mtimeMs !== changedAt) {
        keys = readKeys(dir);
        changedAt = mtimeMs;
      }
    }
    const [newest, ...others] = keys;
    if (newest === undefined) throw new Fault("KEYS_UNREADABLE", `${dir} holds no key any more; put one back from a backup.`);
    return { keys: [newest, ...others] };
  };
}

/** A folder with its key is made beside and renamed: of two parts that start at once, both begin with the key of the first. */
function makeFirstKey(dir: string, options: Parameters<typeof openKeyRing>[0]): void {
  const { state, isShared, now, randomBytes } = options;
  const id = `${now().getTime()}-${Buffer.from(randomBytes(4)).toString("hex")}`;
  const fresh = state.folder("keys", `${basename(dir)}.${id}.new`);
  const mode = isShared ? state.fileMode : 0o600;
  writePrivateFile(join(fresh, `${id}.key`), `${Buffer.from(randomBytes(32)).toString("base64url")}\n`, mode);
  try {
    renameSync(fresh, dir); // an empty folder may be there: it is replaced
  } catch (cause) {
    rmSync(fresh, { recursive: true });
    if (readKeys(dir).length === 0) throw new Fault("KEYS_UNREADABLE", `No key can be made in ${dir}; check who owns it.`, { cause });
  }
}

function readKeys(dir: string): readonly MacKey[] {
  return readdirSync(dir)
    .filter((name) => keyName.test(name))
    .sort()
    .reverse()
    .map((name) => {
      const path = join(dir, name);
      const secret = Buffer.from(readPrivateFile(path)?.toString("ascii").trim() ?? "", "base64url");
      if (secret.length !== 32)
        throw new Fault("KEYS_UNREADABLE", `${path} does not hold 32 bytes in base64url; put it back from a backup or delete it.`);
      return { id: name.slice(0, -".key".length), secret };
    });
}
