/**
 * Goes over a chain of events from its signed beginning to its signed end, and says what is wrong: a row that was altered, one
 * that is missing, one that lies elsewhere, an end that was cut off, a checkpoint that none of our keys signed. Pure; rows
 * come one at a time, so that a long chain needs no memory.
 */
import { type Checkpoint, chainStart, type EventRecord, type EventWriter, hashEvent, renderCheckpoint } from "./event.ts";

/** A checkpoint with who signed it; an empty `keyId` means nobody. */
export type SignedCheckpoint = Checkpoint & { readonly keyId: string; readonly signature: Uint8Array };

/** What is wrong, and at which row. */
export type ChainFlaw = {
  readonly sequence: number;
  readonly flaw: "altered" | "missing" | "out-of-order" | "not-signed-for" | "unsigned" | "unknown-key" | "bad-signature" | "no-checkpoint";
};

/** Verifies one writer's chain. */
export type ChainVerifier = {
  /** What is wrong with the checkpoints themselves, before any row is looked at. */
  readonly checkpoints: readonly ChainFlaw[];
  /** The next row, in the order in which rows lie. Goes on behind a flaw, so that each one is told once. */
  next(row: EventRecord): ChainFlaw | undefined;
  /** After the last row. */
  end(): ChainFlaw | undefined;
};

/** `verify` is asked for a signature: undefined when it has no key of that id. */
export function createChainVerifier(options: {
  readonly writer: EventWriter;
  readonly base: SignedCheckpoint | undefined;
  readonly head: SignedCheckpoint | undefined;
  readonly verify: (keyId: string, text: Uint8Array, signature: Uint8Array) => boolean | undefined;
}): ChainVerifier {
  const { writer, base, head, verify } = options;
  let last: Pick<Checkpoint, "sequence" | "hash"> = base ?? { sequence: 0, hash: chainStart };
  /** A signature of the head itself vouches for every row before it. */
  let isHeadSeen = head !== undefined && isSame(last, head);

  function judge(checkpoint: SignedCheckpoint): ChainFlaw | undefined {
    const { sequence, keyId, signature } = checkpoint;
    if (keyId === "") return { sequence, flaw: "unsigned" };
    const isGood = verify(keyId, renderCheckpoint(writer, checkpoint), signature);
    if (isGood === undefined) return { sequence, flaw: "unknown-key" };
    return isGood ? undefined : { sequence, flaw: "bad-signature" };
  }

  function compare(row: EventRecord): ChainFlaw | undefined {
    const { sequence } = row;
    if (sequence <= last.sequence) return { sequence, flaw: "out-of-order" };
    if (sequence !== last.sequence + 1) return { sequence: last.sequence + 1, flaw: "missing" };
    if (head !== undefined && sequence > head.sequence) return { sequence, flaw: "not-signed-for" };
    return Buffer.from(hashEvent(last.hash, row)).equals(row.hash) ? undefined : { sequence, flaw: "altered" };
  }

  return {
    checkpoints: [base, head].flatMap((checkpoint) => (checkpoint === undefined ? [] : (judge(checkpoint) ?? []))),
    next(row) {
      const flaw = compare(row);
      if (flaw?.flaw === "out-of-order") return flaw;
      last = row;
      if (head !== undefined && isSame(row, head)) isHeadSeen = true;
      return flaw;
    },
    end() {
      if (head === undefined) return last.sequence === 0 ? undefined : { sequence: last.sequence, flaw: "no-checkpoint" };
      if (isHeadSeen) return undefined;
      return { sequence: head.sequence, flaw: last.sequence < head.sequence ? "missing" : "altered" };
    },
  };
}

const isSame = (one: Pick<Checkpoint, "sequence" | "hash">, other: Pick<Checkpoint, "sequence" | "hash">): boolean =>
  one.sequence === other.sequence && Buffer.from(one.hash).equals(other.hash);
