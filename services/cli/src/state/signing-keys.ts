/**
 * The Ed25519 keys of tunnel tokens in their JWT form. The seeds (`keys/token-jwt/<id>.key`) are the token service's alone;
 * their public halves (`keys/token-jwt-public/<id>.pub`) are written before them, so that whoever verifies knows a key
 * before it mints. Marks of retired keys lie with the public halves: both sides read them.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault, publicKeyOfSeed, type ReadVerifyKeys, type VerifyKey } from "@keyhole/core";
import type { Log } from "../log.ts";
import { type KeyChoice, printKeyId } from "./key-choice.ts";
import { type KeyPlace, listKeys, openKeyFolder, type StoredKey, writeKey } from "./key-folder.ts";
import { readPrivateFile } from "./private-file.ts";
import { makePrivateDirectory, makePublishedDirectory, type StateDirectory } from "./state-directory.ts";

/** A key that mints: 32 bytes of seed. */
type SigningKey = { readonly id: string; readonly seed: Uint8Array };

/** The keys of this moment. */
export type SigningKeys = {
  /** Throws `Fault("KEYS_UNREADABLE")` when no key is good any more. */
  minting(): SigningKey;
  byId(id: string): SigningKey | undefined;
  /** The one that mints first, then the newest first. */
  all(): readonly SigningKey[];
};

/** Where seeds are, and where their public halves. */
export type SeedPlaces = { readonly seeds: KeyPlace; readonly published: KeyPlace };

/** The two folders of a purpose that signs. */
export function seedPlaces(stateDir: string, purpose: "token-jwt" | "audit-tokens" | "audit-sessions"): SeedPlaces {
  const publicDir = join(stateDir, "keys", `${purpose}-public`);
  return {
    seeds: { dir: join(stateDir, "keys", purpose), marksDir: publicDir, extension: "key" },
    published: { dir: publicDir, marksDir: publicDir, extension: "pub" },
  };
}

/** For files that the owner writes and, in a shared directory, the group reads. */
export const publishedFileMode = (isShared: boolean): number => (isShared ? 0o640 : 0o600);

/** Opens them for the token service, making the first key when there is none. Throws `Fault("KEYS_UNREADABLE")`. */
export function openSigningKeys(options: {
  readonly state: StateDirectory;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Pick<Log, "warn">;
}): SigningKeys {
  const { state } = options;
  const places = seedPlaces(state.path, "token-jwt");
  const { seeds } = places;
  makeSeedFolders(state, places);
  const read = openSeeds({ ...options, places });
  const all = ({ minting, good }: KeyChoice<StoredKey>): readonly SigningKey[] =>
    [...(minting === undefined ? [] : [minting]), ...good.filter((key) => key !== minting)].map(({ id, bytes }) => ({ id, seed: bytes }));
  return {
    minting() {
      const [first] = all(read());
      if (first !== undefined) return first;
      throw new Fault("KEYS_UNREADABLE", `${seeds.dir} holds no key that is still good; make one: keyhole keys rotate token-jwt`);
    },
    byId: (id) => all(read()).find((key) => key.id === id),
    all: () => all(read()),
  };
}

/** Makes the folders: the seeds their owner's alone, the public halves the group's to read. */
export function makeSeedFolders(state: StateDirectory, { seeds, published }: SeedPlaces): void {
  state.folder("keys");
  makePrivateDirectory(seeds.dir);
  makePublishedDirectory(published.dir, state.isShared);
}

/** Opens the seeds in folders that are there, making the first when there is none, and publishes what is not published. Throws `Fault("KEYS_UNREADABLE")`. */
export function openSeeds(options: {
  readonly state: StateDirectory;
  readonly places: SeedPlaces;
  readonly now: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly log: Pick<Log, "warn">;
}): () => KeyChoice<StoredKey> {
  const { state, places, now, randomBytes, log } = options;
  const { seeds, published } = places;
  const mode = publishedFileMode(state.isShared);
  if (listKeys(seeds).length === 0) {
    const [id, seed] = [printKeyId(now(), randomBytes(4)), randomBytes(32)];
    writeKey(published, id, publicKeyOfSeed(seed), mode);
    writeKey(seeds, id, seed, 0o600);
  }
  const read = openKeyFolder({ place: seeds, now, log });
  for (const { id, bytes } of read().good) publish(published, id, publicKeyOfSeed(bytes), mode);
  return read;
}

/** Opens the public halves, for whoever verifies. None are there before the token service has run for the first time. Throws `Fault("KEYS_UNREADABLE")`. */
export function openVerifyKeys(options: {
  readonly state: Pick<StateDirectory, "path">;
  readonly now: () => Date;
  readonly log: Pick<Log, "warn">;
}): ReadVerifyKeys {
  const { state, now, log } = options;
  const read = openKeyFolder({ place: seedPlaces(state.path, "token-jwt").published, now, log });
  let last: { readonly choice: KeyChoice<StoredKey> | undefined; readonly keys: readonly VerifyKey[] } = { choice: undefined, keys: [] };
  return () => {
    const choice = read();
    if (choice !== last.choice) last = { choice, keys: choice.good.map(({ id, bytes }) => ({ id, publicKey: bytes })) };
    return last.keys;
  };
}

/** A public half that has been lost is made again; one that is another key's is a fault. */
function publish(place: KeyPlace, id: string, publicKey: Uint8Array, mode: number): void {
  const path = join(place.dir, `${id}.pub`);
  if (!existsSync(path)) writeKey(place, id, publicKey, mode);
  const known = readPrivateFile(path)?.toString("latin1").trim();
  if (known !== Buffer.from(publicKey).toString("base64url"))
    throw new Fault("KEYS_UNREADABLE", `${path} is not the public half of ${id}.key; delete it, and it is made again.`);
}
