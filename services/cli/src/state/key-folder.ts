/**
 * A folder of keys on disk: `<id>.key` (or `<id>.pub`), 32 bytes in base64url a file, and `<id>.retired` beside it, which
 * holds the instant until which a retired key verifies. A mark outlives its key: one that a backup brings back stays dead.
 *
 * A folder is read again when it changes: rotation needs no restart. At a start a file that is broken, or open to others, is
 * a fault; later it is a warning, for one bad file must not take the working keys away.
 */
import { lstatSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "@keyhole/core";
import type { Log } from "../log.ts";
import { chooseKeys, type KeyChoice, type KeyFacts, parseKeyId } from "./key-choice.ts";
import { type FileOwner, readPrivateFile, writePrivateFile } from "./private-file.ts";

/** A key with its 32 bytes. */
export type StoredKey = KeyFacts & { readonly bytes: Uint8Array };

/** Where the keys of a purpose are. */
export type KeyPlace = {
  readonly dir: string;
  /** Where the marks of retired keys are. */
  readonly marksDir: string;
  readonly extension: "key" | "pub";
};

/** How often a folder is looked at for a change, in ms. */
const lookEveryMs = 1000;

/** Opens a folder; what it returns tells the keys of this moment. A folder that is not there has no keys. Throws `Fault("KEYS_UNREADABLE")`. */
export function openKeyFolder(options: {
  readonly place: KeyPlace;
  readonly now: () => Date;
  readonly log: Pick<Log, "warn">;
}): () => KeyChoice<StoredKey> {
  const { place, now, log } = options;
  let lookedAt = now().getTime();
  let changedAt = readChangeTime(place);
  let keys = readEveryKey(place);
  let choice = chooseKeys(keys, now());
  let chosenAt = lookedAt;
  let complaints = new Set<string>();

  function readAgain(time: number): void {
    const seen = readChangeTime(place);
    // A change within a second of the last look may share its time stamp; a file may be mended without its folder changing.
    const isSettled = time - Math.max(...seen) > lookEveryMs;
    if (seen.join() === changedAt.join() && complaints.size === 0 && isSettled) return;
    const heard = new Set<string>();
    try {
      keys = readKeys(place, keys, (fault) => heard.add(fault.message));
      changedAt = seen;
    } catch (cause) {
      heard.add(`${place.dir} cannot be read (${(cause as NodeJS.ErrnoException).code}); the keys that were read last are used.`);
    }
    for (const message of heard) if (!complaints.has(message)) log.warn({ event: "keys.unreadable" }, message);
    complaints = heard;
    choice = chooseKeys(keys, now());
    chosenAt = time;
  }

  return () => {
    const time = now().getTime();
    // At the very first start the keys of another part come at any moment: whoever has one of those is not to wait.
    if (keys.length === 0 || Math.abs(time - lookedAt) >= lookEveryMs) {
      lookedAt = time;
      readAgain(time);
    }
    if (time >= choice.changesAt || time < chosenAt) {
      choice = chooseKeys(keys, now());
      chosenAt = time;
    }
    return choice;
  };
}

/** The ids of the keys in a folder with what is known of them; nothing secret is read. Throws when the folder may not be read. */
export function listKeys(place: KeyPlace, onFault: (fault: Fault) => void = () => {}): readonly KeyFacts[] {
  const marks = new Set(readNames(place.marksDir).filter((name) => name.endsWith(".retired")));
  return readNames(place.dir).flatMap((name) => {
    const id = name.endsWith(`.${place.extension}`) ? name.slice(0, -4) : "";
    const madeAt = parseKeyId(id);
    if (madeAt === undefined) return [];
    return [{ id, madeAt, retiredUntil: marks.has(`${id}.retired`) ? readMark(place, id, onFault) : undefined }];
  });
}

/** Every key of a folder that has a form of one, retired or not. Throws `Fault("KEYS_UNREADABLE")` for one that cannot be read. */
export function readEveryKey(place: KeyPlace): readonly StoredKey[] {
  return readKeys(place, [], (fault) => {
    throw fault;
  });
}

/** Writes a key. */
export function writeKey(place: KeyPlace, id: string, bytes: Uint8Array, mode: number, owner?: FileOwner): void {
  writePrivateFile(join(place.dir, `${id}.${place.extension}`), `${Buffer.from(bytes).toString("base64url")}\n`, mode, owner);
}

/** Marks a key as retired: it verifies until then. */
export function writeMark(place: KeyPlace, id: string, until: Date, mode: number, owner?: FileOwner): void {
  writePrivateFile(join(place.marksDir, `${id}.retired`), `${until.toISOString()}\n`, mode, owner);
}

/** Deletes a key; its mark stays. */
export function removeKey(place: KeyPlace, id: string): void {
  rmSync(join(place.dir, `${id}.${place.extension}`), { force: true });
}

/** A key that cannot be read is told of, and what was known of it stays. */
function readKeys(place: KeyPlace, known: readonly StoredKey[], onFault: (fault: Fault) => void): readonly StoredKey[] {
  // The mark of a key that has been retired before is not forgotten because it cannot be read.
  const former = new Map(known.map((key) => [key.id, key]));
  return listKeys(place, onFault).flatMap((facts) => {
    const retiredUntil = facts.retiredUntil === unknownEnd ? (former.get(facts.id)?.retiredUntil ?? unknownEnd) : facts.retiredUntil;
    try {
      return [{ ...facts, retiredUntil, bytes: readKey(join(place.dir, `${facts.id}.${place.extension}`)) }];
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      onFault(fault);
      const bytes = former.get(facts.id)?.bytes;
      return bytes === undefined ? [] : [{ ...facts, retiredUntil, bytes }];
    }
  });
}

function readKey(path: string): Uint8Array {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const kind = found?.isSymbolicLink() ? "a symbolic link" : found?.isDirectory() ? "a directory" : undefined;
  if (kind !== undefined) throw new Fault("KEYS_UNREADABLE", `${path} is ${kind}, not a key; put the key itself there, or delete it.`);
  const text = readPrivateFile(path)?.toString("latin1").trim() ?? "";
  const bytes = Buffer.from(text, "base64url");
  if (bytes.length !== 32 || bytes.toString("base64url") !== text)
    throw new Fault("KEYS_UNREADABLE", `${path} does not hold 32 bytes in base64url; put it back from a backup or delete it.`);
  return bytes;
}

/** Of a key that is retired, but nobody can tell until when: it verifies on, and does not mint. */
const unknownEnd = new Date(8.64e15);

function readMark(place: KeyPlace, id: string, onFault: (fault: Fault) => void): Date {
  const path = join(place.marksDir, `${id}.retired`);
  try {
    const text = readPrivateFile(path)?.toString("latin1").trim() ?? "";
    const until = new Date(text);
    if (!Number.isNaN(until.getTime()) && until.toISOString() === text) return until;
    onFault(new Fault("KEYS_UNREADABLE", `${path} does not hold an instant such as 2026-01-31T12:00:00.000Z; write one into it.`));
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    onFault(fault);
  }
  return unknownEnd;
}

function readNames(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    throw new Fault("KEYS_UNREADABLE", `${dir} cannot be read (${code})${describeFolderOwner(dir)}.`, { cause });
  }
}

/** Whose folder it is, for whoever may not use it. */
export function describeFolderOwner(dir: string): string {
  const uid = statSync(dir, { throwIfNoEntry: false })?.uid;
  return uid === undefined || uid === process.getuid?.() ? "; check its permissions" : `: it belongs to user ${uid}. Run this as that user`;
}

/** When the folders changed last; 0 for one that is not there. */
function readChangeTime({ dir, marksDir }: KeyPlace): readonly number[] {
  return [dir, marksDir].map((path) => {
    try {
      return statSync(path).mtimeMs;
    } catch {
      return 0;
    }
  });
}
