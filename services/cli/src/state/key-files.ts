/**
 * The rings that make and check MACs: `<stateDir>/keys/<purpose>/<id>.key`. The ring's first key is made at the first
 * start; `keyhole keys rotate` adds others.
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Fault, type KeyRing, type MacKey, type ReadKeyRing } from "@keyhole/core";
import type { Log } from "../log.ts";
import { type KeyChoice, printKeyId } from "./key-choice.ts";
import { type KeyPlace, listKeys, openKeyFolder, type StoredKey, writeKey } from "./key-folder.ts";
import { makePrivateDirectory, type StateDirectory } from "./state-directory.ts";

/** What a ring is opened with. */
type KeyRingOptions = {
  readonly state: StateDirectory;
  /** Names the folder below `keys`. */
  readonly purpose: string;
  /** Other parts read this ring too. */
  readonly isShared: boolean;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Pick<Log, "warn">;
};

/** Opens a ring, making its first key when there is none. The first of its keys mints, all verify. Throws `Fault("KEYS_UNREADABLE")`. */
export function openKeyRing(options: KeyRingOptions): ReadKeyRing {
  const { state, purpose, isShared, now, log } = options;
  const dir = join(state.folder("keys"), purpose);
  const place: KeyPlace = { dir, marksDir: dir, extension: "key" };
  if (!existsSync(dir) || listKeys(place).length === 0) makeFirstKey(place, options);
  // Who may write into the folder could add a key of his own, and mint with it.
  if (isShared) state.folder("keys", purpose);
  else makePrivateDirectory(dir);
  const read = openKeyFolder({ place, now, log });
  const first = read();
  let last: { readonly choice: KeyChoice<StoredKey>; readonly ring: KeyRing } = { choice: first, ring: deriveRing(first, options) };
  return () => {
    const choice = read();
    if (choice !== last.choice) last = { choice, ring: deriveRing(choice, options) };
    return last.ring;
  };
}

function deriveRing({ minting, good }: KeyChoice<StoredKey>, { state, purpose }: KeyRingOptions): KeyRing {
  if (minting === undefined) {
    const dir = join(state.path, "keys", purpose);
    throw new Fault(
      "KEYS_UNREADABLE",
      `${dir} holds no key that is still good; put one back from a backup, or make one: keyhole keys rotate ${purpose}`,
    );
  }
  const print = ({ id, bytes }: StoredKey): MacKey => ({ id, secret: bytes });
  return { keys: [print(minting), ...good.filter((key) => key !== minting).map(print)] };
}

/** A folder with its key is made beside and renamed: of two parts that start at once, both begin with the key of the first. */
function makeFirstKey(place: KeyPlace, options: KeyRingOptions): void {
  const { state, isShared, now, randomBytes } = options;
  const id = printKeyId(now(), randomBytes(4));
  const fresh = state.folder("keys", `${basename(place.dir)}.${id}.new`);
  const mode = isShared ? state.fileMode : 0o600;
  const secret = randomBytes(32);
  writeKey({ ...place, dir: fresh }, id, secret, mode);
  try {
    renameSync(fresh, place.dir); // an empty folder may be there: it is replaced
  } catch (cause) {
    rmSync(fresh, { recursive: true });
    if (listKeys(place).length > 0) return;
    // Marks of keys that are gone may be there, and stay.
    if ((cause as NodeJS.ErrnoException).code === "ENOTEMPTY" || (cause as NodeJS.ErrnoException).code === "EEXIST")
      writeKey(place, id, secret, mode);
    else throw new Fault("KEYS_UNREADABLE", `No key can be made in ${place.dir}; check who owns it.`, { cause });
  }
}
