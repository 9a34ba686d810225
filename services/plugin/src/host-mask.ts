/**
 * The letter case of a host, new for every registration. frps routes without regard to case, but keeps idle connections
 * to the app under the host as it was registered: only a fresh spelling keeps a label's next holder from receiving
 * requests over a connection that was opened for the former one (frp/README.md, "stale idle connections").
 */

/** Writes the counter's bits into the letters of the host, lowest bit first: 1 is upper case. */
export function maskHost(host: string, counter: number): string {
  let bits = BigInt(counter);
  let masked = "";
  for (const character of host) {
    const isLetter = character >= "a" && character <= "z";
    masked += isLetter && (bits & 1n) === 1n ? character.toUpperCase() : character;
    if (isLetter) bits >>= 1n;
  }
  return masked;
}

/** A counter that starts at a time in ms and only rises, so that a restart does not repeat a spelling within a minute. */
export function createMaskCounter(startMs: number): () => number {
  let counter = startMs;
  return () => {
    counter += 1;
    return counter;
  };
}
