/** Random bytes drawn a page at a time: a draw costs a login as much as its HMAC, whether of 16 bytes or of 4096. */

const pageBytes = 4096;

/** Fresh random bytes, never given twice. They lie in a page that others share: encode them, or copy them. */
export type DrawRandom = (length: number) => Buffer;

/** Makes a pool over the capability. */
export function createRandomPool(randomBytes: (length: number) => Uint8Array): DrawRandom {
  let page = Buffer.alloc(0);
  let used = 0;
  return (length) => {
    if (used + length > page.length) {
      page = Buffer.from(randomBytes(Math.max(length, pageBytes)));
      used = 0;
    }
    used += length;
    return page.subarray(used - length, used);
  };
}
