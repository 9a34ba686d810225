/**
 * Whether a chain of events ends as its writer left it. Who opens a file to write in it signs for everything that lies there:
 * without this look, he would make good what somebody without a key of ours had rewritten to its end meanwhile.
 */
import { type EventName, hashEvent, type SignedCheckpoint } from "@keyhole/core";
import type { Database } from "better-sqlite3";

/** True when one of the writer's own keys made the signature, and might then. */
export type IsSigned = (checkpoint: SignedCheckpoint) => boolean;

/** The name of the newest end that bears a signature, kept while a newer one bears none. */
export const lastSigned = "signed";

/** What commands write in the writer's place, where they may not read its key. */
const writtenUnsigned: ReadonlySet<string> = new Set<EventName>(["operator.revoked", "block.set", "block.lifted", "store.restored"]);

type CheckpointRow = { sequence: number; hash: Buffer; at: number; key_id: string; signature: Buffer };
type EventRow = { sequence: number; at: number; event: string; label: string | null; detail: string };

/** Looks at both ends of the chain. Rows between them are not looked at: each is hashed into the end. */
export function isEndOurs(db: Database, isSigned: IsSigned): boolean {
  const read = db.prepare<[string], CheckpointRow>("SELECT sequence, hash, at, key_id, signature FROM checkpoints WHERE name = ?");
  const find = (name: string): SignedCheckpoint | undefined => {
    const row = read.get(name);
    return row && { sequence: row.sequence, hash: row.hash, at: new Date(row.at), keyId: row.key_id, signature: row.signature };
  };
  const [base, head] = [find("base"), find("head")];
  if (base !== undefined && base.sequence > 0 && !isSigned(base)) return false;
  if (head === undefined || head.keyId !== "") return head === undefined || isSigned(head);
  const signed = find(lastSigned);
  if (signed === undefined || !isSigned(signed)) return false;
  let hash = signed.hash;
  const rows = db.prepare<[number], EventRow>("SELECT * FROM events WHERE sequence > ? ORDER BY sequence");
  for (const { at, label, ...row } of rows.iterate(signed.sequence)) {
    if (!writtenUnsigned.has(row.event)) return false;
    hash = hashEvent(hash, { ...row, at: new Date(at), label: label ?? undefined });
  }
  return Buffer.from(hash).equals(head.hash);
}
