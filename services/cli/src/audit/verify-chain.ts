/**
 * Goes over the chain of one writer, from its signed beginning to its signed end, and holds it against what the other chain
 * remembers of it: an older file that somebody put in its place is a chain without a flaw, and the other one knows better.
 * Rows are handed over one at a time, so that a million of them need no memory.
 */
import { type ChainFlaw, createChainVerifier, type EventRecord, type EventWriter, type SignedCheckpoint } from "@keyhole/core";
import type { ChainBounds, EventReader } from "@keyhole/store";
import type { CheckpointVerifier } from "../state/audit-key.ts";

/** Everything that can be wrong with a chain. */
export type FlawName = ChainFlaw["flaw"] | "rolled-back" | "replaced" | "key-ended" | "signed-over" | "unreadable";

/** What is wrong, at which event, and what more is known. */
export type FoundFlaw = { readonly sequence: number; readonly flaw: FlawName; readonly fact?: string };

/** What going over a chain came to. */
export type ChainReport = {
  readonly writer: EventWriter;
  readonly rows: number;
  /** When the first and the last of them were written; undefined without rows. */
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  readonly head: SignedCheckpoint | undefined;
  readonly base: SignedCheckpoint | undefined;
  /** The first of them; `flawCount` says how many there are. */
  readonly flaws: readonly FoundFlaw[];
  readonly flawCount: number;
  /** Backups that were put in its place, as it says itself: what the other chain remembers of before is no flaw. */
  readonly restoredAt: readonly Date[];
};

/** What another chain remembers: at this moment, this one ended with this event. */
export type Anchor = { readonly sequence: number; readonly hash: string; readonly at: Date };

const mostFlaws = 50;
const rowsPerWord = 20_000;

/** What the other chain remembers of `writer`, one for each end. */
export async function readAnchors(other: EventReader, writer: EventWriter): Promise<readonly Anchor[]> {
  const anchors = new Map<string, Anchor>();
  const rows = await other.newestOf("checkpoint.seen", Number.MAX_SAFE_INTEGER);
  for (const row of rows) {
    const { writer: of, sequence, hash } = parseObject(row.detail);
    if (of === writer && typeof sequence === "number" && typeof hash === "string")
      anchors.set(`${sequence} ${hash}`, { sequence, hash, at: row.at });
  }
  return [...anchors.values()];
}

/** Goes over it. `tell` is called every now and then with how many rows are done. Undefined when nothing was ever written. */
export async function verifyChain(options: {
  readonly writer: EventWriter;
  readonly reader: EventReader;
  readonly keys: CheckpointVerifier;
  readonly anchors: readonly Anchor[];
  readonly tell: (rows: number, of: number) => void;
}): Promise<ChainReport | undefined> {
  const { writer, reader, keys, anchors, tell } = options;
  const report = await reader.walk(({ base, head, rows }) => {
    const verifier = createChainVerifier({ writer, base, head, verify: keys.verify });
    const flaws = createFlawList();
    const against = createAnchorCheck(anchors, base);
    const restoredAt: Date[] = [];
    let count = 0;
    let [first, last]: (EventRecord | undefined)[] = [undefined, undefined];
    flaws.add(...verifier.checkpoints, ...findEndedKeys({ base, head }, keys));
    for (const row of rows) {
      first ??= row;
      last = row;
      count += 1;
      flaws.add(verifier.next(row));
      against.next(row);
      if (row.event === "store.restored") restoredAt.push(row.at);
      if (row.event === "chain.doubted") flaws.add({ sequence: row.sequence, flaw: "signed-over", fact: printInstant(row.at) });
      if (count % rowsPerWord === 0) tell(count, (head?.sequence ?? 0) - (base?.sequence ?? 0));
    }
    flaws.add(verifier.end(), ...against.end(head, restoredAt));
    return { writer, rows: count, from: first?.at, to: last?.at, head, base, ...flaws.found(), restoredAt };
  });
  if (report !== undefined && (report.rows > 0 || report.head !== undefined)) return report;
  if (anchors.length === 0) return undefined;
  const gone: FoundFlaw = { sequence: Math.max(...anchors.map(({ sequence }) => sequence)), flaw: "rolled-back" };
  return { writer, rows: 0, from: undefined, to: undefined, head: undefined, base: undefined, flaws: [gone], flawCount: 1, restoredAt: [] };
}

function createFlawList() {
  const flaws: FoundFlaw[] = [];
  let flawCount = 0;
  return {
    add(...found: readonly (FoundFlaw | undefined)[]): void {
      for (const flaw of found) {
        if (flaw === undefined) continue;
        flawCount += 1;
        if (flaws.length < mostFlaws) flaws.push(flaw);
      }
    },
    found: () => ({ flaws, flawCount }),
  };
}

/** Whoever has a key that was retired signs nothing that came after its end. */
function findEndedKeys({ base, head }: ChainBounds, keys: CheckpointVerifier): readonly FoundFlaw[] {
  return [base, head].flatMap((checkpoint) => {
    const end = checkpoint === undefined ? undefined : keys.endOf(checkpoint.keyId);
    if (checkpoint === undefined || end === undefined || checkpoint.at <= end) return [];
    return [{ sequence: checkpoint.sequence, flaw: "key-ended", fact: `${checkpoint.keyId} ended ${printInstant(end)}` }];
  });
}

/** Holds rows against what the other chain remembers. */
function createAnchorCheck(anchors: readonly Anchor[], base: SignedCheckpoint | undefined) {
  const expected = new Map<number, Anchor[]>();
  for (const anchor of anchors) {
    const ofSequence = expected.get(anchor.sequence);
    if (ofSequence === undefined) expected.set(anchor.sequence, [anchor]);
    else ofSequence.push(anchor);
  }
  const broken: Anchor[] = [];
  const compare = (sequence: number, hash: Uint8Array): void => {
    const found = expected.get(sequence);
    if (found === undefined) return;
    const text = Buffer.from(hash).toString("hex");
    broken.push(...found.filter((anchor) => anchor.hash !== text));
  };
  if (base !== undefined) compare(base.sequence, base.hash);
  return {
    next: (row: EventRecord): void => compare(row.sequence, row.hash),
    end(head: SignedCheckpoint | undefined, restoredAt: readonly Date[]): readonly FoundFlaw[] {
      const beyond = anchors.filter(({ sequence }) => sequence > (head?.sequence ?? 0));
      // A backup that was put in place in order tells so itself, and nobody else can sign that it was.
      const isExplained = ({ at }: Anchor): boolean => restoredAt.some((restored) => at <= restored);
      const [lost, other] = [beyond, broken].map((found) => newest(found.filter((anchor) => !isExplained(anchor))));
      return [describe(lost, "rolled-back"), describe(other, "replaced")].flatMap((flaw) => flaw ?? []);
    },
  };
}

const newest = (anchors: readonly Anchor[]): Anchor | undefined =>
  anchors.reduce<Anchor | undefined>((latest, anchor) => (latest === undefined || anchor.at > latest.at ? anchor : latest), undefined);

const describe = (anchor: Anchor | undefined, flaw: FlawName): FoundFlaw | undefined =>
  anchor && { sequence: anchor.sequence, flaw, fact: `seen by the other chain ${printInstant(anchor.at)}` };

/** An instant of a row may be any number when somebody has altered it. */
export const printInstant = (at: Date): string => (Number.isNaN(at.getTime()) ? "at no possible time" : at.toISOString());

/** The object in a JSON text; an empty one where there is none. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
