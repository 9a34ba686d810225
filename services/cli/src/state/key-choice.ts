/**
 * Which keys of a purpose are good at a moment, and which one mints. A key's name begins with the time it was made, so names
 * sort by age. A new key waits before it mints, so that every process has read it first; a retired one verifies until its
 * end, and then counts for nothing.
 */

/** What is known of a key without its secret. */
export type KeyFacts = {
  /** `<ms>-<8 hex>`. */
  readonly id: string;
  readonly madeAt: Date;
  /** Until when it verifies; undefined while it is not retired. */
  readonly retiredUntil: Date | undefined;
};

/** The keys of a purpose at a moment. */
export type KeyChoice<Key extends KeyFacts> = {
  /** Undefined only when nothing is good. */
  readonly minting: Key | undefined;
  /** All that verify, newest first. */
  readonly good: readonly Key[];
  /** When the passing of time alone changes this, in ms. */
  readonly changesAt: number;
};

/** How long a key has been there before it mints. Rings are read again every second. */
const waitBeforeMintingMs = 5000;

const keyId = /^([0-9]{13})-[0-9a-f]{8}$/;

/** When the key of this id was made; undefined when it is no id. */
export function parseKeyId(id: string): Date | undefined {
  const ms = keyId.exec(id)?.[1];
  return ms === undefined ? undefined : new Date(Number(ms));
}

/** Makes an id: the moment, and four random bytes. */
export const printKeyId = (now: Date, random: Uint8Array): string =>
  `${String(now.getTime()).padStart(13, "0")}-${Buffer.from(random).toString("hex")}`;

/**
 * Chooses. The newest that is not retired and has waited mints; while its successor waits, the key that was retired for it
 * goes on; when none has waited, the oldest does.
 */
export function chooseKeys<Key extends KeyFacts>(keys: readonly Key[], now: Date): KeyChoice<Key> {
  const time = now.getTime();
  const good = keys
    .filter(({ retiredUntil }) => retiredUntil === undefined || time < retiredUntil.getTime())
    .sort((first, second) => (first.id < second.id ? 1 : -1));
  const hasWaited = (key: Key): boolean => hasKeyWaited(key, now);
  const inUse = good.filter(({ retiredUntil }) => retiredUntil === undefined);
  const minting = inUse.find(hasWaited) ?? good.find(hasWaited) ?? good.at(-1);
  const changes = good.flatMap(({ madeAt, retiredUntil }) => [
    madeAt.getTime() + waitBeforeMintingMs,
    retiredUntil?.getTime() ?? Number.POSITIVE_INFINITY,
  ]);
  return { minting, good, changesAt: Math.min(...changes.filter((at) => at > time), Number.POSITIVE_INFINITY) };
}

/** True when a key is old enough for every process to know it. */
export const hasKeyWaited = ({ madeAt }: KeyFacts, now: Date): boolean => now.getTime() - madeAt.getTime() >= waitBeforeMintingMs;

/** Words for what keys of a purpose do. */
type KeyWords = { readonly mint: string; readonly end: (end: string) => string };

const usualWords: KeyWords = { mint: "mint", end: (end) => `ended ${end}` };

/** What a key does now, in words for a person. */
export function describeKey(key: KeyFacts, choice: KeyChoice<KeyFacts>, now: Date, words = usualWords): string {
  const end = key.retiredUntil?.toISOString();
  if (!choice.good.some(({ id }) => id === key.id)) return words.end(end ?? "");
  const isMinting = choice.minting?.id === key.id;
  const mints = `${words.mint}s`;
  if (end !== undefined) return isMinting ? `${mints} while its successor waits; verifies until ${end}` : `verifies until ${end}`;
  if (isMinting) return mints;
  const waits = Math.ceil((key.madeAt.getTime() + waitBeforeMintingMs - now.getTime()) / 1000);
  return waits > 0 ? `waits ${waits} s before it ${mints}` : "verifies";
}
