/**
 * All chance of a chaos run: sfc32, seeded by a number and a name. A stream of its own for each purpose, so that what one
 * draws more or less of moves nothing for the others, and the same seed means the same plan.
 */

/** A stream of chance. */
export type Prng = {
  /** From 0 up to, and without, 1. */
  next(): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  /** True so often. */
  chance(share: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** The same items in another order. */
  shuffle<T>(items: readonly T[]): T[];
  /** A stream that has nothing to do with this one but the seed. */
  fork(name: string): Prng;
};

/** Makes the stream of this name. */
export function createPrng(seed: number, name = ""): Prng {
  let [a, b, c] = [seed | 0, hash(name), hash(`${seed} ${name}`)];
  let counter = 1;
  const draw = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The first draws still show the seed.
  for (let round = 0; round < 15; round += 1) draw();
  const between = (least: number, most: number): number => least + Math.floor(draw() * (most - least + 1));
  return {
    next: draw,
    between,
    chance: (share) => draw() < share,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError("there is nothing to pick from");
      return items[between(0, items.length - 1)] as T;
    },
    shuffle<T>(items: readonly T[]): T[] {
      const shuffled = [...items];
      for (let at = shuffled.length - 1; at > 0; at -= 1) {
        const other = between(0, at);
        [shuffled[at], shuffled[other]] = [shuffled[other] as T, shuffled[at] as T];
      }
      return shuffled;
    },
    fork: (fork) => createPrng(seed, `${name}/${fork}`),
  };
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value | 0;
}
