/** Verifies both chains against their signatures and against each other. */
import { join } from "node:path";
import { type EventWriter, Fault } from "@keyhole/core";
import { type EventReader, openEventReader } from "@keyhole/store";
import { readOr } from "../read-or.ts";
import { openCheckpointVerifier } from "../state/audit-key.ts";
import { type Anchor, type ChainReport, readAnchors, verifyChain } from "./verify-chain.ts";

/** Who writes a chain, in the order in which they are told of. */
export const writers = ["tokens", "sessions"] as const satisfies readonly EventWriter[];

/** What was gone over; `nothing`: no event was ever written here. */
export type AuditReport = { readonly chains: readonly ChainReport[]; readonly isClean: boolean; readonly isNothing: boolean };

/** Verifies. Throws `Fault("KEYS_UNREADABLE")` where something is signed and no public key is there to verify it with. */
export async function verifyAudit(stateDir: string, tell: (writer: EventWriter, rows: number, of: number) => void): Promise<AuditReport> {
  await using stack = new AsyncDisposableStack();
  const readers = Object.fromEntries(
    writers.map((writer) => [writer, stack.use(openEventReader({ path: join(stateDir, `${writer}.db`), writer }))]),
  ) as Record<EventWriter, EventReader>;
  // What each remembers of the other is read before either is gone over: both only grow meanwhile.
  const anchors = new Map<EventWriter, readonly Anchor[]>();
  for (const writer of writers) anchors.set(writer, await readOr([], () => readAnchors(readers[otherOf(writer)], writer)));
  const chains: ChainReport[] = [];
  for (const writer of writers) {
    const keys = openCheckpointVerifier(stateDir, writer);
    const reader = readers[writer];
    await requireKeys(stateDir, writer, reader, keys.count);
    const chain = await verifyOrTell(writer, () =>
      verifyChain({ writer, reader, keys, anchors: anchors.get(writer) ?? [], tell: (rows, of) => tell(writer, rows, of) }),
    );
    if (chain !== undefined) chains.push(chain);
  }
  return { chains, isClean: chains.every(({ flawCount }) => flawCount === 0), isNothing: chains.length === 0 };
}

const otherOf = (writer: EventWriter): EventWriter => (writer === "tokens" ? "sessions" : "tokens");

/** Without any key every signature would look forged. */
async function requireKeys(stateDir: string, writer: EventWriter, reader: EventReader, count: number): Promise<void> {
  if (count > 0) return;
  const { head } = await readOr({ head: undefined, base: undefined }, () => reader.bounds());
  if (head === undefined || head.keyId === "") return;
  const dir = join(stateDir, "keys", `audit-${writer}-public`);
  throw new Fault(
    "KEYS_UNREADABLE",
    `${dir} holds no key, and ${writer}.db is signed with ${head.keyId}: nothing can be verified. Put the folder back from a backup.`,
  );
}

/** A file that cannot be read is a finding, and the other one is gone over all the same. */
async function verifyOrTell(writer: EventWriter, verify: () => Promise<ChainReport | undefined>): Promise<ChainReport | undefined> {
  try {
    return await verify();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    const nothing = { from: undefined, to: undefined, head: undefined, base: undefined, restoredAt: [] };
    return { writer, rows: 0, ...nothing, flaws: [{ sequence: 0, flaw: "unreadable", fact: fault.message }], flawCount: 1 };
  }
}
