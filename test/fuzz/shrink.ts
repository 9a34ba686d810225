/** Makes an input smaller for as long as it still breaks the same promise: cuts, the largest first. */

/** A machine has better to do than this. */
const mostTries = 400;

/** The smallest input found. `isBroken` false for the input itself gives it back unchanged. */
export async function shrinkInput(input: Uint8Array, isBroken: (candidate: Uint8Array) => Promise<boolean>): Promise<Uint8Array> {
  let smallest = Buffer.from(input);
  let tries = 0;
  for (let length = Math.ceil(smallest.length / 2); length >= 1 && tries < mostTries; length = Math.floor(length / 2)) {
    for (let from = 0; from < smallest.length && tries < mostTries; ) {
      const candidate = Buffer.concat([smallest.subarray(0, from), smallest.subarray(from + length)]);
      tries += 1;
      if (candidate.length < smallest.length && (await isBroken(candidate))) smallest = candidate;
      else from += length;
    }
  }
  return smallest;
}
