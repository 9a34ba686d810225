/**
 * What operators have decided, in sessions.db: blocks, and revocations of what was issued before. Instants are Unix
 * milliseconds there, `Date` here; `not_before` is whole seconds.
 */
import {
  type Block,
  type BlockSubject,
  type Label,
  type OperatorRevocation,
  parseLabel,
  parseNetwork,
  type SessionReader,
} from "@keyhole/core";
import type { Database } from "better-sqlite3";
import { schemaVersion } from "./migrations.ts";

type BlockRow = { subject: string; reason: string; created_at: number; ends_at: number | null };
type RevocationRow = { label: string; not_before: number; at: number };

/** Statements that read, for the writer and for readers. A file that its writer has not migrated yet has blocks of labels, and no revocations. */
export function prepareOperatorReads(db: Database) {
  const isOld = schemaVersion(db) < 4;
  const subject = isOld ? "label" : "subject";
  const block = `SELECT ${subject} AS subject, reason, created_at, ends_at FROM blocks`;
  const revocation = isOld
    ? "SELECT '' AS label, 0 AS not_before, 0 AS at WHERE false"
    : "SELECT label, not_before, at FROM operator_revocations";
  return {
    blocks: db.prepare<[], BlockRow>(block),
    blockOf: db.prepare<[string], BlockRow>(`${block} WHERE ${subject} = ?`),
    revocations: db.prepare<[], RevocationRow>(revocation),
    revocationOf: db.prepare<[string], RevocationRow>(`SELECT * FROM (${revocation}) WHERE label = ?`),
  };
}

/** Statements of the writer alone. */
export function prepareOperatorWrites(db: Database) {
  return {
    setBlock: db.prepare<[string, string, number, number | null]>(
      "INSERT OR REPLACE INTO blocks (subject, reason, created_at, ends_at) VALUES (?, ?, ?, ?)",
    ),
    removeBlock: db.prepare<[string]>("DELETE FROM blocks WHERE subject = ?"),
    revoke: db.prepare<[string, number, number]>(
      "INSERT INTO operator_revocations (label, not_before, at) VALUES (?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET not_before = max(not_before, excluded.not_before), at = max(at, excluded.at)",
    ),
  };
}

type OperatorReads = ReturnType<typeof prepareOperatorReads>;
type RunOperatorQuery = <Answer>(absent: Answer, work: (queries: OperatorReads) => Answer) => Promise<Answer>;

/** The part of the port that tells of them, for the writer's connection and for a reader's. */
export function createOperatorReads(query: RunOperatorQuery): Pick<SessionReader, "blocks" | "operatorRevocations" | "standing"> {
  return {
    blocks: () => query<readonly Block[]>([], ({ blocks }) => blocks.all().flatMap((row) => toBlock(row) ?? [])),
    operatorRevocations: () =>
      query<readonly OperatorRevocation[]>([], ({ revocations }) => revocations.all().flatMap((row) => toRevocation(row) ?? [])),
    standing: (label) =>
      query({ revocation: undefined, block: undefined }, ({ revocationOf, blockOf }) => ({
        revocation: toRevocation(revocationOf.get(label)),
        block: toBlock(blockOf.get(label)),
      })),
  };
}

function toBlock(row: BlockRow | undefined): Block | undefined {
  const subject = row && parseSubject(row.subject);
  if (row === undefined || subject === undefined) return undefined;
  const { reason, created_at, ends_at } = row;
  return { subject, reason, createdAt: new Date(created_at), endsAt: ends_at === null ? undefined : new Date(ends_at) };
}

function toRevocation(row: RevocationRow | undefined): OperatorRevocation | undefined {
  const label: Label | undefined = row && parseLabel(row.label);
  if (row === undefined || label === undefined) return undefined;
  return { label, notBefore: new Date(row.not_before * 1000), at: new Date(row.at) };
}

const parseSubject = (text: string): BlockSubject | undefined => parseLabel(text) ?? parseNetwork(text);
