/**
 * Key rings on disk: `<stateDir>/keys/<purpose>/<kid>.key`, 32 bytes in base64url a file. The name of a file begins with
 * the time it was made, so names sort by age. A ring is read again when its directory changes: rotation needs no restart.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fault, type MacKey, type ReadKeyRing } from "@keyhole/core";
import { makePrivateDirectory, readPrivateFile, writePrivateFile } from "./private-file.ts";

const keyName = /^([0-9]{13}-[0-9a-f]{8})\.key$/;
/** How often a ring looks whether its directory has changed, in ms. */
const lookEveryMs = 1000;

/** Opens a ring, making its first key when there is none. Throws `Fault("KEYS_UNREADABLE")`. */
export function openKeyRing(options: {
  readonly dir: string;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
}): ReadKeyRing {
  makePrivateDirectory(options.dir);
  if (readKeys(options.dir).length === 0) {
    const id = `${options.now().getTime()}-${Buffer.from(options.randomBytes(4)).toString("hex")}`;
    writePrivateFile(join(options.dir, `${id}.key`), `${Buffer.from(options.randomBytes(32)).toString("base64url")}\n`);
  }
  let keys = readKeys(options.dir);
  let changedAt = statSync(options.dir).mtimeMs;
  let lookedAt = options.now().getTime();
  return () => {
    const time = options.now().getTime();
    if (time - lookedAt >= lookEveryMs) {
      lookedAt = time;
      const { mtimeMs } = statSync(options.dir);
      if (mtimeMs !== changedAt) {
        keys = readKeys(options.dir);
        changedAt = mtimeMs;
      }
    }
    const [newest, ...others] = keys;
    if (newest === undefined) throw new Fault("KEYS_UNREADABLE", `${options.dir} holds no key any more; put one back from a backup.`);
    return { keys: [newest, ...others] };
  };
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
