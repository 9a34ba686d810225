/**
 * What an operator does with keys, while the parts run or not: they read their folders again. Rotation adds a key and gives
 * those before it an end; a purpose is never left without a key. Who is root writes as the folder's owner would.
 */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fault, publicKeyOfSeed } from "@keyhole/core";
import { chooseKeys, describeKey, hasKeyWaited, type KeyFacts, printKeyId } from "./key-choice.ts";
import { describeFolderOwner, type KeyPlace, listKeys, removeKey, writeKey, writeMark } from "./key-folder.ts";
import type { FileOwner } from "./private-file.ts";
import { publishedFileMode, seedPlaces } from "./signing-keys.ts";

/** What keys are for, in the order in which they are told of. */
export const keyPurposes = ["token-hmac", "token-jwt", "ticket-hmac", "audit-tokens", "audit-sessions"] as const;

/** One of them. */
export type KeyPurpose = (typeof keyPurposes)[number];

/** True for what signs the chain of events: what such a key has signed is verified for ever. */
export const isAuditPurpose = (purpose: KeyPurpose): purpose is "audit-tokens" | "audit-sessions" => purpose.startsWith("audit-");

/** A key as it is told of. */
export type ListedKey = KeyFacts & { readonly purpose: KeyPurpose; readonly state: string };

/** Where the keys are, and what is needed to write there. */
type KeysOf = { readonly path: string; readonly isShared: boolean; readonly fileMode: number };

const overlapMs: Readonly<Record<KeyPurpose, (ttlSeconds: number) => number>> = {
  "token-hmac": (ttlSeconds) => Math.max(ttlSeconds + 3600, 25 * 3600) * 1000,
  "token-jwt": (ttlSeconds) => Math.max(ttlSeconds + 3600, 25 * 3600) * 1000,
  "ticket-hmac": () => 30 * 86_400_000,
  // It signs on until its successor has waited; what it has signed by then stays good.
  "audit-tokens": () => 60_000,
  "audit-sessions": () => 60_000,
};

/** For how long a retired key must verify, so that nothing good that it made is refused. */
export const deriveOverlapMs = (purpose: KeyPurpose, ttlSeconds: number): number => overlapMs[purpose](ttlSeconds);

/** The folder that says which keys of a purpose there are. */
export const listedPlace = (stateDir: string, purpose: KeyPurpose): KeyPlace => placesOf(stateDir, purpose).listed;

/** The folder that says which keys there are, and the one of the secrets. */
function placesOf(stateDir: string, purpose: KeyPurpose): { readonly listed: KeyPlace; readonly secret: KeyPlace } {
  if (purpose === "token-jwt" || isAuditPurpose(purpose)) {
    const { seeds, published } = seedPlaces(stateDir, purpose);
    return { listed: published, secret: seeds };
  }
  const dir = join(stateDir, "keys", purpose);
  const place: KeyPlace = { dir, marksDir: dir, extension: "key" };
  return { listed: place, secret: place };
}

const auditWords = { mint: "sign", end: (end: string) => `signed until ${end}` };

/** The keys of a purpose, newest first. Throws `Fault("KEYS_UNREADABLE")` when this user may not look. */
export function listPurpose(state: KeysOf, purpose: KeyPurpose, now: Date): readonly ListedKey[] {
  const keys = listKeys(placesOf(state.path, purpose).listed);
  const choice = chooseKeys(keys, now);
  return [...keys]
    .sort((first, second) => (first.id < second.id ? 1 : -1))
    .map((key) => ({ ...key, purpose, state: describeKey(key, choice, now, isAuditPurpose(purpose) ? auditWords : undefined) }));
}

/** Throws `Fault("STATE_UNWRITABLE")` unless this user may write the keys of all these purposes: nothing is done by halves. */
export function requireWritable(state: KeysOf, purposes: readonly KeyPurpose[]): void {
  for (const purpose of purposes) {
    const { listed, secret } = placesOf(state.path, purpose);
    for (const { dir } of [secret, listed]) {
      try {
        accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") continue;
        throw new Fault(
          "STATE_UNWRITABLE",
          `The keys of ${purpose} cannot be changed by this user${describeFolderOwner(dir)}, or name another purpose. Nothing was changed.`,
          { cause },
        );
      }
    }
  }
}

/** True when the purpose has keys: the first one is made by the part that uses it. */
export const hasKeys = (state: KeysOf, purpose: KeyPurpose): boolean => existsSync(placesOf(state.path, purpose).secret.dir);

/** Adds a key and retires those before it; deletes what has ended. Returns the new key's id. */
export function rotateKeys(
  state: KeysOf,
  order: {
    readonly purpose: KeyPurpose;
    readonly now: Date;
    readonly overlapMs: number;
    readonly randomBytes: (length: number) => Uint8Array;
  },
): string {
  const { purpose, now, randomBytes } = order;
  const { listed, secret } = placesOf(state.path, purpose);
  const former = listKeys(listed);
  const id = printKeyId(now, randomBytes(4));
  const bytes = randomBytes(32);
  // The public half first: whoever verifies knows the key before it mints.
  if (listed.dir !== secret.dir) writeKey(listed, id, publicKeyOfSeed(bytes), modeOf(state, purpose), ownerFor(listed.dir));
  writeKey(secret, id, bytes, purpose === "token-hmac" ? state.fileMode : 0o600, ownerFor(secret.dir));
  const until = new Date(now.getTime() + order.overlapMs);
  for (const key of former) {
    if (key.retiredUntil === undefined) writeMark(listed, key.id, until, modeOf(state, purpose), ownerFor(listed.marksDir));
    else if (key.retiredUntil <= now) remove(state, purpose, key.id);
  }
  return id;
}

/** Retires one key: it verifies until then, or until the end that it has already; an end of now deletes it. Returns its purpose. Throws `KEY_UNKNOWN` or `KEY_IN_USE`. */
export function retireKey(
  state: KeysOf,
  order: { readonly id: string; readonly now: Date; readonly deriveUntil: (purpose: KeyPurpose) => Date },
): { readonly purpose: KeyPurpose; readonly until: Date } {
  const { id, now } = order;
  const purpose = findPurpose(state, id);
  requireWritable(state, [purpose]);
  const { listed } = placesOf(state.path, purpose);
  const keys = listKeys(listed);
  const others = keys.filter((key) => key.id !== id && key.retiredUntil === undefined);
  if (others.length === 0)
    throw new Fault(
      "KEY_IN_USE",
      `${id} is the only key that ${purpose} has in use. Make another one first: keyhole keys rotate ${purpose}`,
    );
  if (!others.some((key) => hasKeyWaited(key, now)))
    throw new Fault("KEY_IN_USE", `The key that would mint in place of ${id} is not known to every part yet. Try again in a few seconds.`);
  const wanted = order.deriveUntil(purpose);
  const former = keys.find((key) => key.id === id)?.retiredUntil;
  const until = former !== undefined && former < wanted ? former : wanted;
  writeMark(listed, id, until, modeOf(state, purpose), ownerFor(listed.marksDir));
  if (until <= now) remove(state, purpose, id);
  return { purpose, until };
}

function findPurpose(state: KeysOf, id: string): KeyPurpose {
  const hidden: KeyPurpose[] = [];
  for (const purpose of keyPurposes) {
    try {
      if (listKeys(placesOf(state.path, purpose).listed).some((key) => key.id === id)) return purpose;
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      hidden.push(purpose);
    }
  }
  const rest = hidden.length === 0 ? "" : ` (this user may not look at ${hidden.join(", ")})`;
  throw new Fault("KEY_UNKNOWN", `There is no key ${id}${rest}. See which there are: keyhole keys list`);
}

function remove(state: KeysOf, purpose: KeyPurpose, id: string): void {
  const { listed, secret } = placesOf(state.path, purpose);
  removeKey(secret, id);
  if (listed.dir !== secret.dir && !isAuditPurpose(purpose)) removeKey(listed, id);
}

/** Of what lies where the marks lie. */
const modeOf = (state: KeysOf, purpose: KeyPurpose): number =>
  purpose === "token-hmac" ? state.fileMode : purpose === "ticket-hmac" ? 0o600 : publishedFileMode(state.isShared);

/** Root's files would be closed to the part that needs them. */
function ownerFor(dir: string): FileOwner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(dir);
  return { uid, gid };
}
